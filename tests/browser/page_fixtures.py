"""Fixtures of tests of the console's pages: a module imports them by name."""
import pytest

from console_env import PASSWORD
from console_page import ConsolePage


@pytest.fixture(scope='module')
def page(console):
    """alice, an owner, has logged in."""
    page = ConsolePage(console.url)
    page.login('alice', PASSWORD)
    yield page
    page.close()
