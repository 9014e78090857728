"""Stand-ins for packages that need the vendor's credentials, built as real .deb files (`architecture.md` 8)."""
