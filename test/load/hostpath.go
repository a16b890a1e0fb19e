package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

var (
	services            = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	apiServices         = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	clusterRoles        = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	clusterRoleBindings = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"}
)

const (
	// hostServiceName is the Service of our server on the host, in the namespace
	// default; hostServiceHost is what the host checks its certificate for.
	hostServiceName = "annex-load"
	hostServiceHost = hostServiceName + ".default.svc"
	hostAPIService  = "v1alpha1.tenancy.kcp.io"
	// hostUser is a user of the host, and whatever the host's front proxy makes
	// of that in a workspace.
	hostUser = "load"
)

// hostPath is our server behind the aggregator of the host.
type hostPath struct {
	made bool
	err  error // why it could not be made

	user      *rest.Config // hostUser, on the host
	workspace string       // path of a workspace where that user may do everything
}

// through returns the URL on the host that leads into the workspace.
func (h *hostPath) through() string {
	return h.user.Host + "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + h.workspace + "/proxy"
}

// needHostPath puts our server behind the host unless it is there. For that it
// is started again, with the flags of a server in a host.
func (b *bench) needHostPath(ctx context.Context) (*hostPath, error) {
	h := &b.hostPath
	if !h.made {
		h.made = true
		h.err = b.makeHostPath(ctx, h)
	}
	if h.err != nil {
		return nil, fmt.Errorf("putting the server behind the host: %w", h.err)
	}
	return h, nil
}

func (b *bench) makeHostPath(ctx context.Context, h *hostPath) error {
	b.stopServer()
	// The one APIService that is needed is made here, for any server.
	b.server.args = append(b.server.args, "--tls-san="+hostServiceHost, "--host-apiservice=",
		"--authentication-kubeconfig="+b.host.Kubeconfig(), "--authorization-kubeconfig="+b.host.Kubeconfig())
	if err := b.startServer(ctx); err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(b.plain)
	if err != nil {
		return fmt.Errorf("making a client for the host: %w", err)
	}
	if err := b.registerServer(ctx, client); err != nil {
		return err
	}
	names, _, _, err := b.makeWorkspaces(ctx, "host", 1, nil)
	if err != nil {
		return err
	}
	h.workspace = workspacePath(names[0])
	conn, err := crowd.Connect(b.target.admin)
	if err != nil {
		return err
	}
	defer conn.Close()
	inside, err := conn.Cluster(h.workspace)
	if err != nil {
		return err
	}
	for _, where := range []dynamic.Interface{client, inside} {
		if err := allowHostUser(ctx, where); err != nil {
			return fmt.Errorf("allowing the user to do everything: %w", err)
		}
	}
	if h.user, err = b.host.ConfigFor(hostUser); err != nil {
		return err
	}
	return b.awaitHostPath(ctx, h)
}

// registerServer makes the Service and the APIService.
func (b *bench) registerServer(ctx context.Context, client dynamic.Interface) error {
	address, err := url.Parse(b.target.admin.Host)
	if err != nil {
		return fmt.Errorf("reading the address of the server: %w", err)
	}
	port, err := strconv.ParseInt(address.Port(), 10, 32)
	if err != nil {
		return fmt.Errorf("reading the port of the server: %w", err)
	}
	service := newObject(services, "Service", hostServiceName, map[string]any{"spec": map[string]any{
		"type": "ExternalName", "externalName": "localhost", "ports": []any{map[string]any{"port": port}},
	}})
	if _, err := client.Resource(services).Namespace(metav1.NamespaceDefault).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the Service: %w", err)
	}
	registration := newObject(apiServices, "APIService", hostAPIService, map[string]any{"spec": map[string]any{
		"group": workspaces.Group, "version": workspaces.Version, "groupPriorityMinimum": int64(1000), "versionPriority": int64(100),
		"caBundle": base64.StdEncoding.EncodeToString(b.target.admin.CAData),
		"service":  map[string]any{"namespace": metav1.NamespaceDefault, "name": hostServiceName, "port": port},
	}})
	if _, err := client.Resource(apiServices).Create(ctx, registration, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the APIService: %w", err)
	}
	return nil
}

// allowHostUser lets hostUser do everything where client leads.
func allowHostUser(ctx context.Context, client dynamic.Interface) error {
	role := newObject(clusterRoles, "ClusterRole", "load-everything", map[string]any{"rules": []any{
		map[string]any{"apiGroups": []any{"*"}, "resources": []any{"*"}, "verbs": []any{"*"}},
		map[string]any{"nonResourceURLs": []any{"*"}, "verbs": []any{"*"}},
	}})
	binding := newObject(clusterRoleBindings, "ClusterRoleBinding", "load-everything", map[string]any{
		"roleRef":  map[string]any{"apiGroup": clusterRoles.Group, "kind": "ClusterRole", "name": "load-everything"},
		"subjects": []any{map[string]any{"apiGroup": clusterRoles.Group, "kind": "User", "name": hostUser}},
	})
	for gvr, obj := range map[schema.GroupVersionResource]*unstructured.Unstructured{clusterRoles: role, clusterRoleBindings: binding} {
		if _, err := client.Resource(gvr).Create(ctx, obj, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// awaitHostPath waits until a request gets through the host.
func (b *bench) awaitHostPath(ctx context.Context, h *hostPath) error {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	conn, err := crowd.Connect(h.user)
	if err != nil {
		return err
	}
	defer conn.Close()
	client, err := conn.At(h.through())
	if err != nil {
		return err
	}
	for {
		_, err := client.Resource(configMaps).Namespace(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		if err == nil {
			return nil
		}
		if crowd.Sleep(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("waiting for an answer through the host: %w", err)
		}
	}
}
