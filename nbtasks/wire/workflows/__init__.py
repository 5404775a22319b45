"""From one step of a workflow to the next: how calls have ended, what their ends mean for those that wait for them."""
