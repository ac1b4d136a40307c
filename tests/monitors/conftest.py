"""What the tests of monitors share."""

import warnings

import apprise

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what the services of apprise import, at their first use
    apprise.Apprise().add("json://127.0.0.1")
