"""What a namespace does, for who looks on: the dashboard's pages as data, wherever they are shown, and its actions."""
