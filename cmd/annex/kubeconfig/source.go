package kubeconfig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Source is the context to start from. Its file names are absolute.
type Source struct {
	Cluster *clientcmdapi.Cluster
	User    *clientcmdapi.AuthInfo
	// UserName is the name of the user in its kubeconfig; empty for the ServiceAccount of a pod.
	UserName string
	// files are the files that merged was merged from. If several have the same entry, the first one wins.
	files  []string
	merged clientcmdapi.Config
}

// serviceAccount is the directory of a pod's credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// Load returns a context of the kubeconfig that rules find: the one called name, or the current one if name is empty. Without any
// kubeconfig, it returns the ServiceAccount of the pod.
func Load(rules *clientcmd.ClientConfigLoadingRules, name string) (*Source, error) {
	merged, err := rules.Load()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if clientcmdapi.IsConfigEmpty(merged) && name == "" {
		return pod(serviceAccount)
	}
	if name == "" {
		name = merged.CurrentContext
	}
	if name == "" {
		return nil, errors.New("the kubeconfig has no current context: set --context")
	}
	context := merged.Contexts[name]
	if context == nil {
		return nil, fmt.Errorf("the kubeconfig has no context %q", name)
	}
	cluster, user := merged.Clusters[context.Cluster], merged.AuthInfos[context.AuthInfo]
	if cluster == nil || cluster.Server == "" {
		return nil, fmt.Errorf("the context %q of the kubeconfig does not name a cluster with a server", name)
	}
	if user == nil {
		// kubectl also treats this as a user without credentials.
		user = &clientcmdapi.AuthInfo{}
	}
	return &Source{Cluster: cluster, User: user, UserName: context.AuthInfo, files: rules.GetLoadingPrecedence(), merged: *merged}, nil
}

// pod returns the credentials of a pod in directory.
func pod(directory string) (*Source, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	token, ca := filepath.Join(directory, "token"), filepath.Join(directory, "ca.crt")
	if host == "" || port == "" {
		return nil, errors.New("no kubeconfig found, and this is not a pod: set --kubeconfig")
	}
	for _, file := range []string{token, ca} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("reading the ServiceAccount of the pod: %w", err)
		}
	}
	return &Source{
		Cluster: &clientcmdapi.Cluster{Server: "https://" + net.JoinHostPort(host, port), CertificateAuthority: ca},
		// Use the file and not its content, because the token is renewed every hour.
		User:   &clientcmdapi.AuthInfo{TokenFile: token},
		merged: *clientcmdapi.NewConfig(),
	}, nil
}

// config returns the source's credentials for a server.
func (s *Source) config(cluster *clientcmdapi.Cluster) (*rest.Config, error) {
	const name = "one"
	config := clientcmdapi.NewConfig()
	config.Clusters[name], config.AuthInfos[name] = cluster, s.User
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	client, err := clientcmd.NewNonInteractiveClientConfig(*config, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("using the credentials of the kubeconfig: %w", err)
	}
	return client, nil
}
