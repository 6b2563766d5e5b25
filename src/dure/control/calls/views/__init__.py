"""The pages of calls: what everybody reads (`reading`), and where officers put calls together."""
