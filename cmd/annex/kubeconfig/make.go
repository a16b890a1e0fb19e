package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// extension marks entries of ours: these may be replaced, and no others.
const extension = "annex.dev"

// Options say what is wanted.
type Options struct {
	Target Target
	// Name is that of the context; empty for one that follows from the target.
	Name string
	// Server is the URL of Annex's own door; empty for the way that the server of the source offers.
	Server string
	// CAFile holds the certificate authority of Server; empty for that of the source when it is the same server, or else
	// for what the system trusts.
	CAFile string
	// Flatten puts the content of files into the kubeconfig. The file of a token stays one, since it is renewed.
	Flatten bool
}

// Entry is a new context.
type Entry struct {
	Name string
	// Warning says why the context may be of no use; empty when it was seen to be.
	Warning string

	cluster *clientcmdapi.Cluster
	user    *clientcmdapi.AuthInfo
	source  *Source
}

// Make returns the context for a target. The server is asked which way it offers when its URL does not say so, where a relative
// name leads, and whether the target can be reached; only the last may fail.
func Make(ctx context.Context, source *Source, o Options) (*Entry, error) {
	cluster, err := o.cluster(source)
	if err != nil {
		return nil, err
	}
	d, found, err := parseDoor(cluster.Server)
	if err != nil {
		return nil, err
	}
	config, err := source.config(cluster)
	if err != nil {
		return nil, err
	}
	ask, err := newAsker(config, d.base)
	if err != nil {
		return nil, err
	}
	if o.Server == "" {
		if d, ask, err = detect(ctx, d, found, cluster.Server, config, ask); err != nil {
			return nil, err
		}
	} else if d.host {
		return nil, fmt.Errorf("--server %s: leads through a host; give the address of Annex's own door", o.Server)
	}
	t, err := resolve(ctx, ask, d, o.Target)
	if err != nil {
		return nil, err
	}
	if cluster.Server, err = address(ctx, ask, d, t); err != nil {
		return nil, err
	}
	entry := &Entry{Name: o.Name, cluster: cluster, user: source.User.DeepCopy(), source: source}
	if entry.Name == "" {
		entry.Name = t.contextName()
	}
	if reason := ask.explain(ctx, cluster.Server, d.host); reason != "" {
		entry.Warning = fmt.Sprintf("%s cannot be reached as yet: %s", cluster.Server, reason)
	}
	return entry, entry.finish(o.Flatten)
}

// cluster returns how the server is reached.
func (o Options) cluster(source *Source) (*clientcmdapi.Cluster, error) {
	cluster := source.Cluster.DeepCopy()
	if o.Server == "" {
		if o.CAFile != "" {
			return nil, errors.New("--certificate-authority: means nothing without --server")
		}
		return cluster, nil
	}
	before, err := url.Parse(cluster.Server)
	if err != nil {
		return nil, fmt.Errorf("the server %q of the kubeconfig: %w", cluster.Server, err)
	}
	after, err := url.Parse(o.Server)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	if before.Host != after.Host {
		// What is said about the host's certificate does not hold for another one.
		cluster.CertificateAuthority, cluster.CertificateAuthorityData, cluster.TLSServerName, cluster.InsecureSkipTLSVerify = "", nil, "", false
	}
	cluster.Server = o.Server
	if o.CAFile != "" {
		if cluster.CertificateAuthorityData, err = os.ReadFile(o.CAFile); err != nil {
			return nil, fmt.Errorf("--certificate-authority: %w", err)
		}
		cluster.CertificateAuthority = ""
	}
	return cluster, nil
}

// detect returns the door that the source's server is.
func detect(ctx context.Context, d door, found bool, server string, config *rest.Config, ask *asker) (door, *asker, error) {
	if found && d.host {
		return d, ask, nil
	}
	if u, err := url.Parse(d.base); found && err == nil && u.Path == "" {
		return d, ask, nil
	}
	own, err := ask.isOwnDoor(ctx, d.base)
	if err != nil || own {
		return d, ask, err
	}
	// Proxies of others end with /clusters/<name>, too, and what they lead to may be a host.
	plain := door{base: server, host: true}
	for len(plain.base) > 0 && plain.base[len(plain.base)-1] == '/' {
		plain.base = plain.base[:len(plain.base)-1]
	}
	if ask, err = newAsker(config, plain.base); err != nil {
		return door{}, nil, err
	}
	return plain, ask, ask.isHost(ctx)
}

// resolve returns the target with an absolute path; an APIExport of the host's workspace may go without.
func resolve(ctx context.Context, ask *asker, d door, t Target) (Target, error) {
	if !t.Workspace.Empty() {
		return t, nil
	}
	if t.Child != "" {
		path, err := ask.child(ctx, d.inside(), t.Child)
		t.Workspace, t.Child = path, ""
		return t, err
	}
	if d.here == "" && d.host {
		return t, nil
	}
	here, err := parsePath(d.here)
	if d.here == "" {
		here, err = logicalcluster.Root.Path(), nil
	}
	if _, single := here.Name(); err == nil && single && d.host && here != logicalcluster.Root.Path() {
		err = fmt.Errorf("the context is in the workspace %q below that of the host: give <path>:%s", d.here, t.Export)
	}
	t.Workspace = here
	return t, err
}

// address returns the URL of the target.
func address(ctx context.Context, ask *asker, d door, t Target) (string, error) {
	if t.Export == "" {
		return d.workspaceURL(t.Workspace), nil
	}
	if d.host {
		return d.exportURL(t, ""), nil
	}
	cluster, err := ask.clusterOf(ctx, d.workspaceURL(t.Workspace), t.Export)
	if err != nil {
		return "", err
	}
	return d.exportURL(t, cluster), nil
}

// finish marks the entries as ours.
func (e *Entry) finish(flatten bool) error {
	if flatten {
		config := clientcmdapi.NewConfig()
		config.Clusters[e.Name], config.AuthInfos[e.Name] = e.cluster, e.user
		if err := clientcmdapi.FlattenConfig(config); err != nil {
			return fmt.Errorf("--flatten: %w", err)
		}
	}
	e.cluster.Extensions, e.user.Extensions = marked(e.cluster.Extensions), marked(e.user.Extensions)
	return nil
}

// marked returns extensions with ours.
func marked(extensions map[string]runtime.Object) map[string]runtime.Object {
	out := map[string]runtime.Object{extension: &runtime.Unknown{Raw: []byte(`{"generated-by":"annex kubeconfig"}`), ContentType: runtime.ContentTypeJSON}}
	for name, value := range extensions {
		if _, taken := out[name]; !taken {
			out[name] = value
		}
	}
	return out
}

// Config returns a kubeconfig with the context alone.
func (e *Entry) Config() *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters[e.Name], config.AuthInfos[e.Name] = e.cluster, e.user
	config.Contexts[e.Name] = &clientcmdapi.Context{Cluster: e.Name, AuthInfo: e.Name, Extensions: marked(nil)}
	config.CurrentContext = e.Name
	return config
}
