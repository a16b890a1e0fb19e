package contexts

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	// Current is the name of the context that leads to the current workspace, and of its cluster.
	Current = "workspace.kcp.io/current"
	// Previous is the name of the context that leads to the workspace before.
	Previous = "workspace.kcp.io/previous"
)

// Start is the context that a user moves from, with what flags change in it.
type Start struct {
	// Context is the name of the context. Empty: the current one.
	Context string
	// ClusterName is the name of the cluster. Empty: the cluster of the context.
	ClusterName string
	// User is the name of the user. Empty: the user of the context.
	User string
	// Cluster changes the copy of the cluster, if it is not nil.
	Cluster func(*clientcmdapi.Cluster)
}

// from returns copies of the context and its cluster. The flags do not count for before, which is what is left.
func (s Start) from(config *clientcmdapi.Config) (before, context *clientcmdapi.Context, cluster *clientcmdapi.Cluster, err error) {
	name := s.Context
	if name == "" {
		name = config.CurrentContext
	}
	found, ok := config.Contexts[name]
	if !ok {
		return nil, nil, nil, fmt.Errorf("context %q not found in kubeconfig", name)
	}
	clusterName := s.ClusterName
	if clusterName == "" {
		clusterName = found.Cluster
	}
	named, ok := config.Clusters[clusterName]
	if !ok {
		return nil, nil, nil, fmt.Errorf("cluster %q of context %q not found in kubeconfig", clusterName, name)
	}
	before, context, cluster = found.DeepCopy(), found.DeepCopy(), named.DeepCopy()
	if s.User != "" {
		context.AuthInfo = s.User
	}
	if s.Cluster != nil {
		s.Cluster(cluster)
	}
	return before, context, cluster, nil
}

// Enter makes server the current workspace, and the context before it the previous one.
func Enter(config *clientcmdapi.Config, start Start, server string) error {
	before, context, cluster, err := start.from(config)
	if err != nil {
		return err
	}
	leave(config, before)
	cluster.Server = server
	arrive(config, context, cluster)
	return nil
}

// Left returns the previous context and its cluster.
func Left(config *clientcmdapi.Config) (*clientcmdapi.Context, *clientcmdapi.Cluster, error) {
	previous, ok := config.Contexts[Previous]
	if !ok {
		return nil, nil, errors.New("no previous workspace found in kubeconfig")
	}
	cluster, ok := config.Clusters[previous.Cluster]
	if !ok {
		return nil, nil, fmt.Errorf("cluster %q of context %q not found in kubeconfig", previous.Cluster, Previous)
	}
	return previous, cluster, nil
}

// Back swaps the current and the previous workspace. It returns the server of the one that is the current one then.
func Back(config *clientcmdapi.Config, start Start) (server string, err error) {
	previous, cluster, err := Left(config)
	if err != nil {
		return "", err
	}
	before, _, _, err := start.from(config)
	if err != nil {
		return "", err
	}
	previous, cluster = previous.DeepCopy(), cluster.DeepCopy()
	leave(config, before)
	arrive(config, previous, cluster)
	return cluster.Server, nil
}

// leave makes before the previous context. The cluster called Current is about to change, so it is saved.
func leave(config *clientcmdapi.Config, before *clientcmdapi.Context) {
	if before.Cluster == Current {
		config.Clusters[Previous] = config.Clusters[Current].DeepCopy()
		before.Cluster = Previous
	}
	config.Contexts[Previous] = before
}

// arrive makes context, at cluster, the current one.
func arrive(config *clientcmdapi.Config, context *clientcmdapi.Context, cluster *clientcmdapi.Cluster) {
	context.Cluster = Current
	config.Clusters[Current], config.Contexts[Current] = cluster, context
	config.CurrentContext = Current
}

// Name is how to give a name of the user's to a workspace.
type Name struct {
	Context string
	// Server is the URL of the workspace. Empty: that of the context to start from.
	Server string
	// Overwrite replaces a context of that name.
	Overwrite bool
	// Enter makes it the current context.
	Enter bool
}

// Create copies the context to start from, and its cluster, under another name. existed is true if there was such a context, and
// switched if another one was the current one.
func Create(config *clientcmdapi.Config, start Start, name Name) (existed, switched bool, err error) {
	if err := Free(config, name.Context, name.Overwrite); err != nil {
		return false, false, err
	}
	_, context, cluster, err := start.from(config)
	if err != nil {
		return false, false, err
	}
	if name.Server != "" {
		cluster.Server = name.Server
	}
	_, existed = config.Contexts[name.Context]
	context.Cluster = name.Context
	config.Contexts[name.Context], config.Clusters[name.Context] = context, cluster
	if name.Enter {
		switched = config.CurrentContext != name.Context
		config.CurrentContext = name.Context
	}
	return existed, switched, nil
}

// Free returns an error if a context of this name must not be written.
func Free(config *clientcmdapi.Config, name string, overwrite bool) error {
	if _, exists := config.Contexts[name]; exists && !overwrite {
		return fmt.Errorf("context %q already exists in kubeconfig, use --overwrite to update it", name)
	}
	for _, other := range slices.Sorted(maps.Keys(config.Contexts)) {
		if other != name && config.Contexts[other].Cluster == name {
			return fmt.Errorf("context %q uses the cluster %q in kubeconfig, choose another name", other, name)
		}
	}
	return nil
}
