"""The dashboard in a browser, in either of its homes: where things are, and what each page has to be."""

from __future__ import annotations

from .accessibility import assert_accessible

PAGES = ("Overview", "Workers", "Tasks", "Timeline", "Schedules", "Locks", "Broker")
#: Texts that break pages which take them for anything but text.
HTML = "<img src=x onerror=alert(1)><script>alert(2)</script>"
RIGHT_TO_LEFT = "\u202e\u05e9\u05dc\u05d5\u05dd"
FOCUSED = "document.activeElement"
COLOURED = "\x1b[31mred\x1b[0m"


class DashboardPage:
    """One dashboard on a page; it is opened first, where it is said at which URL."""

    def __init__(self, page, place=".nbt-dash", at=None):
        self.page = page
        if at is not None:
            page.goto(at)
        self.root = page.locator(place).last
        self.root.wait_for(timeout=60_000)
        self.dialogs = []
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def tab(self, name):
        return self.root.get_by_role("tab", name=name, exact=True)

    def turn(self, name):
        """Show a page of it, as soon as it has its content."""
        self.tab(name).click()
        return self.shown(name)

    def shown(self, name):
        panel = self.root.locator(f".nbt-page-of[data-page={name.lower()}]")
        panel.locator("> *").first.wait_for(state="attached")
        return panel

    def shows(self, *texts):
        """Wait until these texts are on show."""
        for text in texts:
            self.root.get_by_text(text, exact=True).locator("visible=true").first.wait_for(timeout=60_000)

    @property
    def drawer(self):
        return self.root.locator(".nbt-sheet")

    def assert_sound(self):
        """It is accessible, nothing in it was taken for HTML, and it is no wider than its window."""
        assert_accessible(self.page, ".nbt-dash")
        assert self.page.locator("img[src=x]").count() == 0
        assert self.dialogs == []
        wide = "(root) => [root.scrollWidth - root.clientWidth, document.documentElement.scrollWidth - innerWidth]"
        assert self.root.evaluate(wide) == [0, 0]

    def focused(self):
        """What has the focus: which element, and its text."""
        return self.page.evaluate(f"[{FOCUSED}.className, {FOCUSED}.textContent]")

    def wait_for_focus(self, kind, text):
        """Wait until such an element has the focus."""
        same = f"([kind, text]) => {FOCUSED}.className === kind && {FOCUSED}.textContent === text"
        self.page.wait_for_function(same, arg=[kind, text])

    def place(self):
        """How far below the upper edge of the window it stands."""
        return self.root.evaluate("root => root.getBoundingClientRect().top")

    def wait_until_it_stands_at(self, place):
        """Wait until it stands there, to the pixel: what is above it may grow meanwhile, and be scrolled away."""
        stands = "([root, place]) => Math.abs(root.getBoundingClientRect().top - place) < 1"
        self.page.wait_for_function(stands, arg=[self.root.element_handle(), place])
