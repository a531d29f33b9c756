"""Who sends a request to SWR or to the identity service: a signature or a token in, a caller with tenant and project out.

The two wires share it and know nothing of each other.
"""

from entrepot.dialects.sign_in.sign_in import SignedIn, SignIn, note_project

__all__ = ["SignIn", "SignedIn", "note_project"]
