"""Pages for people: what is asked of them, and what runs do. Server-rendered; scripts only make them live."""
