"""Other libraries' words for ours. Each module needs its library only when it is used; none of them is a dependency."""
