"""Huawei Cloud SWR: its REST API over the region's shared instance. Vendor words live only here."""
