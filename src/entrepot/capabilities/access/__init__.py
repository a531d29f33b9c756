"""Who is asking, and what they may do: logins, tokens, the one evaluator, secrets (DESIGN section 7)."""
