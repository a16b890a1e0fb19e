package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/door"
	"github.com/annex-dev/annex/cmd/kubectl-annex/contexts"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// Session is one call of a command. It is safe for concurrent use after Door has returned.
type Session struct {
	flags  *genericclioptions.ConfigFlags
	config *rest.Config
	// here is what the URL of the context says.
	here door.Door
	// door is the route that the server offers, once it was asked.
	door *door.Door
	// host finds the workspace that a host shows as its own, once.
	host     sync.Once
	hostShow logicalcluster.Path
}

// Open returns the session for flags. workspace is what the user typed to work in another workspace than that of the context; it
// may be empty.
func Open(ctx context.Context, flags *genericclioptions.ConfigFlags, workspace string) (*Session, error) {
	config, err := configOf(flags)
	if err != nil {
		return nil, err
	}
	// Each command sends few requests, or many at once. The server is fair between users.
	config.QPS = -1
	s := &Session{flags: flags, config: config}
	if s.here, _, err = door.Parse(config.Host); err != nil {
		return nil, err
	}
	if workspace == "" {
		return s, nil
	}
	target, err := s.Resolve(ctx, workspace)
	if err != nil {
		return nil, err
	}
	if target.Path.Empty() {
		return nil, fmt.Errorf("--workspace %s: does not name a workspace", workspace)
	}
	d, err := s.Door(ctx)
	if err != nil {
		return nil, err
	}
	s.config = rest.CopyConfig(config)
	s.config.Host = d.WorkspaceURL(target.Path)
	s.here.Here = target.Path.String()
	d.Here = s.here.Here
	s.door = &d
	return s, nil
}

// OpenContext returns the session for another context of the kubeconfig, with the credentials in flags: what flags say about the server is about the
// context that they name.
func OpenContext(ctx context.Context, flags *genericclioptions.ConfigFlags, name string) (*Session, error) {
	other := genericclioptions.NewConfigFlags(true)
	other.Context, other.KubeConfig, other.Timeout = &name, flags.KubeConfig, flags.Timeout
	other.BearerToken, other.CertFile, other.KeyFile = flags.BearerToken, flags.CertFile, flags.KeyFile
	other.Impersonate, other.ImpersonateUID, other.ImpersonateGroup = flags.Impersonate, flags.ImpersonateUID, flags.ImpersonateGroup
	return Open(ctx, other, "")
}

// URL returns the server of the context.
func (s *Session) URL() string { return s.config.Host }

// Access returns the kubeconfig.
func (s *Session) Access() clientcmd.ConfigAccess {
	return s.flags.ToRawKubeConfigLoader().ConfigAccess()
}

// Start returns the context that the flags name, with what they change in it.
func (s *Session) Start() contexts.Start {
	return contexts.Start{
		Context: *s.flags.Context, User: *s.flags.AuthInfoName, ClusterName: *s.flags.ClusterName,
		Cluster: func(cluster *clientcmdapi.Cluster) {
			if *s.flags.APIServer != "" {
				cluster.Server = *s.flags.APIServer
			}
			if *s.flags.CAFile != "" {
				cluster.CertificateAuthority, cluster.CertificateAuthorityData = *s.flags.CAFile, nil
			}
			if *s.flags.TLSServerName != "" {
				cluster.TLSServerName = *s.flags.TLSServerName
			}
			if *s.flags.Insecure {
				cluster.InsecureSkipTLSVerify, cluster.CertificateAuthority, cluster.CertificateAuthorityData = true, "", nil
			}
			if *s.flags.ProxyURL != "" {
				cluster.ProxyURL = *s.flags.ProxyURL
			}
		},
	}
}

// Door returns the route to workspaces that the server offers. The first call may ask the server.
func (s *Session) Door(ctx context.Context) (door.Door, error) {
	if s.door == nil {
		d, err := door.Detect(ctx, s.config)
		if err != nil {
			return door.Door{}, err
		}
		s.door = &d
	}
	return *s.door, nil
}

// Path returns the workspace that the URL of the context names; empty if it names none.
func (s *Session) Path() logicalcluster.Path { return logicalcluster.Path(s.here.Here) }

// At returns the user's credentials for another URL.
func (s *Session) At(url string) *rest.Config {
	config := rest.CopyConfig(s.config)
	config.Host = url
	return config
}

// Quiet is At for requests whose warnings are of no use to the user.
func (s *Session) Quiet(url string) *rest.Config {
	config := s.At(url)
	config.WarningHandler = rest.NoWarnings{}
	return config
}

// Clients returns clients for our API groups at a URL.
func (s *Session) Clients(url string) (versioned.Interface, error) { return newClients(s.At(url)) }

// QuietClients is Clients for requests whose warnings are of no use to the user.
func (s *Session) QuietClients(url string) (versioned.Interface, error) {
	return newClients(s.Quiet(url))
}

func newClients(config *rest.Config) (versioned.Interface, error) {
	clients, err := versioned.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return clients, nil
}

// WorkspaceURL returns the URL of the workspace that the context leads to, and its path.
func (s *Session) WorkspaceURL(ctx context.Context) (string, logicalcluster.Path, error) {
	origin, err := s.Origin(ctx)
	if err != nil {
		return "", "", err
	}
	if origin.Path.Empty() {
		return "", "", fmt.Errorf("current URL %q does not point to a workspace", origin.URL)
	}
	d, err := s.Door(ctx)
	if err != nil {
		return "", "", err
	}
	return d.WorkspaceURL(origin.Path), origin.Path, nil
}

// Here returns the URL for objects of our API groups in the workspace that the context leads to, and its path. The path is empty
// for the workspace that a host shows as its own, if the user may not find out.
func (s *Session) Here(ctx context.Context) (string, logicalcluster.Path, error) {
	onHost, err := s.onHostItself(ctx)
	if err != nil {
		return "", "", err
	}
	if onHost {
		return s.door.Base, s.hostPath(ctx), nil
	}
	_, path, err := s.WorkspaceURL(ctx)
	if err != nil {
		return "", "", err
	}
	url, err := s.ObjectsURL(ctx, path)
	return url, path, err
}

// ObjectsURL returns the URL for objects of our API groups in the workspace at path. Those of the workspace that a host shows as its own
// are at the URL of the host, because rights on the host count there, too.
func (s *Session) ObjectsURL(ctx context.Context, path logicalcluster.Path) (string, error) {
	d, err := s.Door(ctx)
	if err != nil {
		return "", err
	}
	if d.Host && path == s.hostPath(ctx) {
		return d.Base, nil
	}
	return d.WorkspaceURL(path), nil
}

// errNoHome says that a home workspace cannot be reached on this route.
var errNoHome = errors.New("your home workspace has no path, so it cannot be reached through the host: use Annex's own endpoint")
