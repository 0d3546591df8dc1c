"""The control plane: which version serves, who decided it, and the workflow runs that make new versions. Private."""
