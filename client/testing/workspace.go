package annextest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// Workspace is a workspace of a server.
type Workspace struct {
	// Path is the absolute path, such as root:team.
	Path logicalcluster.Path
	// Name is the name of the logical cluster, which requests of an operator name.
	Name   logicalcluster.Name
	server *Server
}

// WorkspaceOption changes how a workspace is made.
type WorkspaceOption func(*tenancyv1alpha1.Workspace)

// Type makes a workspace of the WorkspaceType called name in the workspace at path. Without it, a workspace has the default type of its parent.
func Type(path, name string) WorkspaceOption {
	return func(w *tenancyv1alpha1.Workspace) {
		w.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Path: path, Name: tenancyv1alpha1.WorkspaceTypeName(name)}
	}
}

// Workspace returns the workspace at an absolute path, as soon as it is Ready. It makes the workspace, and those above it, if they do not exist.
// The options count for a workspace that it makes at the path itself; it is an error if that exists and options are given.
func (s *Server) Workspace(tb testing.TB, path string, options ...WorkspaceOption) *Workspace {
	tb.Helper()
	at, err := logicalcluster.ParsePath(path)
	if err == nil && at == logicalcluster.Wildcard {
		err = fmt.Errorf("the path %q means all workspaces", path)
	}
	if err == nil {
		err = s.ensure(tb.Context(), at, options)
	}
	if err != nil {
		tb.Fatalf("making workspace %s: %v", path, err)
	}
	w := &Workspace{Path: at, server: s}
	clients, err := versioned.NewForConfig(w.Config())
	if err != nil {
		tb.Fatal(err)
	}
	here, err := clients.CoreV1alpha1().LogicalClusters().Get(tb.Context(), corev1alpha1.LogicalClusterName, metav1.GetOptions{})
	if err != nil {
		tb.Fatalf("reading the logical cluster of workspace %s: %v", path, err)
	}
	w.Name = logicalcluster.From(here)
	return w
}

// ensure makes the workspace at path unless it exists, and waits until it is Ready.
func (s *Server) ensure(ctx context.Context, path logicalcluster.Path, options []WorkspaceOption) error {
	parent, name := path.Split()
	if parent.Empty() {
		if len(options) > 0 {
			return fmt.Errorf("%s exists, so it cannot get options", path)
		}
		return nil
	}
	if err := s.ensure(ctx, parent, nil); err != nil {
		return err
	}
	clients, err := versioned.NewForConfig(s.at(s.admin, parent))
	if err != nil {
		return err
	}
	workspaces := clients.TenancyV1alpha1().Workspaces()
	wanted := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, option := range options {
		option(wanted)
	}
	_, err = workspaces.Create(ctx, wanted, metav1.CreateOptions{})
	if err != nil && (!apierrors.IsAlreadyExists(err) || len(options) > 0) {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		found, err := workspaces.Get(ctx, name, metav1.GetOptions{})
		if err == nil && found.Status.Phase != corev1alpha1.LogicalClusterPhaseReady {
			err = fmt.Errorf("workspace %s is in phase %q: %v", path, found.Status.Phase, found.Status.Conditions)
		}
		return err
	})
}

// at returns a copy of config for the workspace at path.
func (s *Server) at(config *rest.Config, path logicalcluster.Path) *rest.Config {
	config = rest.CopyConfig(config)
	config.Host += "/clusters/" + path.String()
	return config
}

// Config returns credentials of an administrator of the workspace. The caller may change them.
func (w *Workspace) Config() *rest.Config { return w.server.at(w.server.admin, w.Path) }

// Client returns a client of the administrator that reads from the server each time. Scheme says which Go types it knows; nil for those of
// Kubernetes.
func (w *Workspace) Client(tb testing.TB, scheme *runtime.Scheme) client.Client {
	tb.Helper()
	c, err := client.New(w.Config(), client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatalf("making a client of workspace %s: %v", w.Path, err)
	}
	return c
}

// WriteKubeconfig writes credentials, such as those of Config or User, as a kubeconfig for programs. It returns the path of the file, which is
// deleted with the test.
func WriteKubeconfig(tb testing.TB, config *rest.Config) string {
	tb.Helper()
	if err := rest.LoadTLSFiles(config); err != nil {
		tb.Fatal(err)
	}
	const name = "annextest"
	path := filepath.Join(tb.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {
			Token: config.BearerToken, ClientCertificateData: config.CertData, ClientKeyData: config.KeyData,
			Impersonate: config.Impersonate.UserName, ImpersonateUID: config.Impersonate.UID, ImpersonateGroups: config.Impersonate.Groups,
			ImpersonateUserExtra: config.Impersonate.Extra,
		}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path); err != nil {
		tb.Fatalf("writing a kubeconfig: %v", err)
	}
	return path
}
