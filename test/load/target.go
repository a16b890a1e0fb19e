package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// rootCluster is the path under which all workspaces of a run are made.
const rootCluster = "root"

// target is a server with the kcp API. Hosts of both credentials are without a
// path, like "https://127.0.0.1:6443".
type target struct {
	admin      *rest.Config // may do everything below root
	privileged *rest.Config // system:masters where the kubeconfig has it
}

// loadTarget reads the two contexts of a kubeconfig. Without the privileged one
// the ordinary one takes its place.
func loadTarget(path, context, privilegedContext string) (*target, error) {
	raw, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	load := func(context string) (*rest.Config, error) {
		if raw.Contexts[context] == nil {
			names := slices.Sorted(maps.Keys(raw.Contexts))
			return nil, fmt.Errorf("kubeconfig %s has no context %q, only %s", path, context, strings.Join(names, ", "))
		}
		c, err := clientcmd.NewNonInteractiveClientConfig(*raw, context, nil, nil).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("reading context %q of kubeconfig %s: %w", context, path, err)
		}
		c.Host = baseURL(c.Host)
		return c, nil
	}
	t := &target{}
	if t.admin, err = load(context); err != nil {
		return nil, err
	}
	t.privileged = t.admin
	if raw.Contexts[privilegedContext] != nil {
		if t.privileged, err = load(privilegedContext); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// loadPlain reads the current context of a kubeconfig.
func loadPlain(path string) (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return c, nil
}

// baseURL cuts "/clusters/..." off, for kubeconfigs that have no context
// without it.
func baseURL(host string) string {
	base, _, _ := strings.Cut(host, "/clusters/")
	return strings.TrimSuffix(base, "/")
}
