"""Workflow runs as Workflows of Argo. Imported only where control is told to, since the client of Kubernetes is large."""
