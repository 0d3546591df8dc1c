"""Reports as PDF: the gateway gathers a document, a process of its own draws it."""
