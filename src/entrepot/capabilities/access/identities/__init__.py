"""Tenants, users, groups, access keys, policies and grants: use cases, each asking for its permission in its transaction.

Commands name things by their names within a tenant; permission is asked before anything is looked up, so that nobody learns what
exists where they may not look. Every change raises the tenant's epoch and leaves an audit row.
"""
