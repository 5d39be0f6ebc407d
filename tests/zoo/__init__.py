"""Every remedy on networks that other people wrote: the registry, the checks, the page."""
