"""The applicant's pages. Officers have a desk of their own."""
