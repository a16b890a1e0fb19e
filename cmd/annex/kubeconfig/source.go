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

// Source is the context to begin with. Relative file names in it are made absolute.
type Source struct {
	Cluster *clientcmdapi.Cluster
	User    *clientcmdapi.AuthInfo
	// UserName is the user's name in the file that the user was read from; empty for that of a pod.
	UserName string
	// files are those that the kubeconfig was merged from, with the first that holds an entry winning, and merged is it.
	files  []string
	merged clientcmdapi.Config
}

// serviceAccount is where a pod finds its credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// Load returns the current context of the kubeconfig that rules find, or the one that is named. Without any kubeconfig it is
// the ServiceAccount of the pod.
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
		return nil, errors.New("the kubeconfig has no current context: give --context")
	}
	context := merged.Contexts[name]
	if context == nil {
		return nil, fmt.Errorf("the kubeconfig has no context %q", name)
	}
	cluster, user := merged.Clusters[context.Cluster], merged.AuthInfos[context.AuthInfo]
	if cluster == nil || cluster.Server == "" {
		return nil, fmt.Errorf("the context %q of the kubeconfig names no cluster with a server", name)
	}
	if user == nil {
		// A user without credentials, as kubectl takes it.
		user = &clientcmdapi.AuthInfo{}
	}
	return &Source{Cluster: cluster, User: user, UserName: context.AuthInfo, files: rules.GetLoadingPrecedence(), merged: *merged}, nil
}

// pod returns the credentials that a pod finds in directory.
func pod(directory string) (*Source, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	token, ca := filepath.Join(directory, "token"), filepath.Join(directory, "ca.crt")
	if host == "" || port == "" {
		return nil, errors.New("there is no kubeconfig to begin with, and this is no pod: give --kubeconfig")
	}
	for _, file := range []string{token, ca} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("reading the ServiceAccount of the pod: %w", err)
		}
	}
	return &Source{
		Cluster: &clientcmdapi.Cluster{Server: "https://" + net.JoinHostPort(host, port), CertificateAuthority: ca},
		// The file, not what is in it: it is renewed every hour.
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
