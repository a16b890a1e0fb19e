package kubeconfig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/door"
)

// extension marks entries that this command made. Only these may be replaced.
const extension = "annex.dev"

// Options describe the context to make.
type Options struct {
	Target Target
	// Name is the name of the context. Empty: derived from the target.
	Name string
	// Server is the URL of Annex's own endpoint. Empty: use the route that the server of the source offers.
	Server string
	// CAFile contains the certificate authority of Server. Empty: that of the source if it is the same server, or else the
	// certificate authorities of the system.
	CAFile string
	// User are the credentials in the new context. Nil: those of the source. The requests on the way are made with those of the source.
	User *clientcmdapi.AuthInfo
	// Flatten embeds the content of files in the kubeconfig. A token file stays a file, because it is renewed.
	Flatten bool
	// CopyAdministrator copies the credentials of the source even if they are the token or the certificate of an administrator.
	CopyAdministrator bool
}

// Entry is a new context.
type Entry struct {
	Name string
	// Warning says why the target could not be reached; empty if it was reached.
	Warning string

	cluster *clientcmdapi.Cluster
	user    *clientcmdapi.AuthInfo
	source  *Source
}

// Make returns the context for a target. It asks the server which route it offers if the URL does not tell, which workspace a
// relative name refers to, and whether the target can be reached. Only the last request may fail without an error.
func Make(ctx context.Context, source *Source, o Options) (*Entry, error) {
	cluster, err := o.cluster(source)
	if err != nil {
		return nil, err
	}
	d, _, err := door.Parse(cluster.Server)
	if err != nil {
		return nil, err
	}
	config, err := source.config(cluster)
	if err != nil {
		return nil, err
	}
	if o.Server == "" {
		if d, err = door.Detect(ctx, config); err != nil {
			return nil, err
		}
	} else if d.Host {
		return nil, fmt.Errorf("--server %s: leads through a host; set it to the address of Annex's own endpoint", o.Server)
	}
	if o.User == nil && !o.CopyAdministrator {
		if err := refuseAdministrator(ctx, source, cluster, d); err != nil {
			return nil, err
		}
	}
	asks, err := door.NewAsker(config, d.Base)
	if err != nil {
		return nil, err
	}
	ask := &asker{asks}
	t, err := resolve(ctx, ask, d, o.Target)
	if err != nil {
		return nil, err
	}
	if cluster.Server, err = address(ctx, ask, d, t); err != nil {
		return nil, err
	}
	entry := &Entry{Name: o.Name, cluster: cluster, user: source.User.DeepCopy(), source: source}
	if o.User != nil {
		entry.user = o.User.DeepCopy()
	}
	if entry.Name == "" {
		entry.Name = t.contextName()
	}
	if reason := ask.explain(ctx, cluster.Server, d.Host); reason != "" {
		entry.Warning = fmt.Sprintf("%s cannot be reached yet: %s", cluster.Server, reason)
	}
	return entry, entry.finish(o.Flatten)
}

// cluster returns the cluster entry for the server.
func (o Options) cluster(source *Source) (*clientcmdapi.Cluster, error) {
	cluster := source.Cluster.DeepCopy()
	if o.Server == "" {
		if o.CAFile != "" {
			return nil, errors.New("--certificate-authority: has no effect without --server")
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
		// The settings for the host's certificate do not apply to another server.
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

// resolve returns the target with an absolute path. An APIExport of the host workspace may have no path.
func resolve(ctx context.Context, ask *asker, d door.Door, t Target) (Target, error) {
	if !t.Workspace.Empty() {
		return t, nil
	}
	if t.Child != "" {
		path, err := ask.child(ctx, d.Inside(), t.Child)
		t.Workspace, t.Child = path, ""
		return t, err
	}
	if d.Here == "" && d.Host {
		return t, nil
	}
	here, err := parsePath(d.Here)
	if d.Here == "" {
		here, err = logicalcluster.Root.Path(), nil
	}
	if _, single := here.Name(); err == nil && single && d.Host && here != logicalcluster.Root.Path() {
		err = fmt.Errorf("the context is in the workspace %q below the host workspace: use <path>:%s", d.Here, t.Export)
	}
	t.Workspace = here
	return t, err
}

// address returns the URL of the target.
func address(ctx context.Context, ask *asker, d door.Door, t Target) (string, error) {
	if t.Export == "" {
		return d.WorkspaceURL(t.Workspace), nil
	}
	if d.Host {
		return d.ExportURL(t.exportName(), "", ""), nil
	}
	cluster, err := ask.clusterOf(ctx, d.WorkspaceURL(t.Workspace), t.Export)
	if err != nil {
		return "", err
	}
	return d.ExportURL("", cluster, t.Export), nil
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

// marked returns extensions together with ours.
func marked(extensions map[string]runtime.Object) map[string]runtime.Object {
	out := map[string]runtime.Object{extension: &runtime.Unknown{Raw: []byte(`{"generated-by":"annex kubeconfig"}`), ContentType: runtime.ContentTypeJSON}}
	for name, value := range extensions {
		if _, taken := out[name]; !taken {
			out[name] = value
		}
	}
	return out
}

// Config returns a kubeconfig that contains only this context.
func (e *Entry) Config() *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters[e.Name], config.AuthInfos[e.Name] = e.cluster, e.user
	config.Contexts[e.Name] = &clientcmdapi.Context{Cluster: e.Name, AuthInfo: e.Name, Extensions: marked(nil)}
	config.CurrentContext = e.Name
	return config
}
