"""A URL that is called when a task has ended: ``add.apply_async((2, 3), **webhook("https://..."))``."""

from __future__ import annotations

from nbtasks.client.calledurls import WebhookRefused, signature_of, webhook, webhook_secret

__all__ = ["WebhookRefused", "signature_of", "webhook", "webhook_secret"]
