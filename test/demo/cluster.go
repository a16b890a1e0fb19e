package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/kubelet"
)

// cluster is a host with a node in which Annex is installed, and everything of the demonstration in one directory.
type cluster struct {
	dir  string
	host *host.Host
	node *kubelet.Kubelet
	// programs is the directory with kubectl and its plugin.
	programs string
}

// contexts are those of the kubeconfig. Each has a user of the same name, with a certificate of the cluster, and leads to a path of the
// cluster's URL; consumers is the provider again, at the endpoint of the APIExport.
var contexts = []struct{ name, user, path string }{
	{"platform", "platform", ""},
	{"provider", "provider", "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:acme:provider/proxy"},
	{"team-a", "team-a", "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:acme:team-a/proxy"},
	{"team-b", "team-b", "/apis/tenancy.kcp.io/v1alpha1/workspaces/root:acme:team-b/proxy"},
	{"consumers", "provider", "/apis/apis.kcp.io/v1alpha2/apiexports/root:acme:provider:gadgets/proxy/clusters/*"},
}

// start runs host and node, with bin/annex as the image annex.
func (c *cluster) start(ctx context.Context) error {
	binary, err := annex.Program("annex")
	if err != nil {
		return err
	}
	c.programs = filepath.Dir(binary)
	if c.host, err = host.Run(ctx, filepath.Join(c.dir, "host"), host.WithoutFsync(), host.WithControllerManager(), host.WithPodNetwork()); err != nil {
		return err
	}
	if c.node, err = kubelet.Run(ctx, filepath.Join(c.dir, "node"), c.host, kubelet.WithImage("annex", binary)); err != nil {
		return err
	}
	return c.writeKubeconfig()
}

func (c *cluster) kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// writeKubeconfig writes a context for each person, and one for the administrator of the cluster.
func (c *cluster) writeKubeconfig() error {
	config, err := clientcmd.LoadFromFile(c.host.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig of the cluster: %w", err)
	}
	for _, person := range contexts {
		credentials, err := c.host.ConfigFor(person.user)
		if err != nil {
			return err
		}
		config.Clusters[person.name] = &api.Cluster{Server: credentials.Host + person.path, CertificateAuthorityData: credentials.CAData}
		config.AuthInfos[person.name] = &api.AuthInfo{ClientCertificateData: credentials.CertData, ClientKeyData: credentials.KeyData}
		config.Contexts[person.name] = &api.Context{Cluster: person.name, AuthInfo: person.name}
	}
	config.CurrentContext = contexts[0].name
	if err := clientcmd.WriteToFile(*config, c.kubeconfig()); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// environment returns that of the user's shell: programs of bin/ come first, and neither kubectl nor Helm keeps anything of this cluster.
func (c *cluster) environment() []string {
	helm := filepath.Join(c.dir, "helm")
	return append(os.Environ(),
		"KUBECONFIG="+c.kubeconfig(), "PATH="+c.programs+":"+os.Getenv("PATH"), "KUBECACHEDIR="+filepath.Join(c.dir, "cache"),
		"HELM_CACHE_HOME="+helm, "HELM_CONFIG_HOME="+helm, "HELM_DATA_HOME="+helm)
}

// stop ends node and host.
func (c *cluster) stop() error {
	var errs []error
	if c.node != nil {
		errs = append(errs, c.node.Stop())
	}
	if c.host != nil {
		errs = append(errs, c.host.Stop())
	}
	return errors.Join(errs...)
}
