"""One folder per API. Pure like `core`; a provider never imports its sibling."""
