"""Tencent Cloud TCR, API version 2019-09-24: RPC over GET and POST of `/`, signed."""
