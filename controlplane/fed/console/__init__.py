"""The console: a read-only page about the federation as this replica of gloo-fed sees it. docs/console.md.

`console` joins it to the process, `state` says what the page shows, `history` what has happened, `pages/` is what the browser loads.
"""
