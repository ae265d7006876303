"""The outside and the core types: NIfTI, BIDS, tables, receipts."""
