package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"

	"github.com/annex-dev/annex/test/framework/crowd"
	"github.com/annex-dev/annex/test/framework/host"
)

// The stand-in has the shape of a server with the kcp API, so that every figure
// can be tested, and nothing of its substance: it is a real kube-apiserver where
// all URLs of all workspaces lead to the same objects, with CRDs for the kinds
// of kcp and a loop that says Ready to all of them.

// standInPrefix is what stands before the API in the URL of a workspace or of a
// provider's endpoint.
var standInPrefix = regexp.MustCompile(`^((/services/apiexport/[^/]+/[^/]+)?/clusters/[^/]+|/apis/tenancy.kcp.io/v1alpha1/workspaces/[^/]+/proxy)`)

// serveStandIn is the "serve" command of the test binary. It runs until it is
// told to end.
func serveStandIn(args []string) error {
	var dir string
	var port int
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.ParseErrorsAllowlist.UnknownFlags = true // those of a server behind a host
	fs.StringVar(&dir, "root-directory", "", "")
	fs.IntVar(&port, "secure-port", 0, "")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("reading the command line: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	h, err := host.Run(ctx, filepath.Join(dir, "host"), host.WithoutFsync())
	if err != nil {
		return err
	}
	base := fmt.Sprintf("https://127.0.0.1:%d", port)
	if err := prepareStandIn(ctx, h, base); err != nil {
		return errors.Join(err, h.Stop())
	}
	server, err := newStandInServer(h.Config(), base, filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		return errors.Join(err, h.Stop())
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	l, err := net.Listen("tcp", strings.TrimPrefix(base, "https://"))
	if err != nil {
		return errors.Join(err, h.Stop())
	}
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, h.Stop())
	}
	return h.Stop()
}

// prepareStandIn creates the CRDs and starts the loops.
func prepareStandIn(ctx context.Context, h *host.Host, base string) error {
	client, err := dynamic.NewForConfig(h.Config())
	if err != nil {
		return err
	}
	for kind, gvr := range map[string]schema.GroupVersionResource{
		"Workspace": workspaces, "APIResourceSchema": schemas, "APIExport": exports,
		"APIBinding": bindings, "APIExportEndpointSlice": endpoints, "Widget": widgets,
	} {
		if err := defineStandIn(ctx, client, kind, gvr); err != nil {
			return fmt.Errorf("defining %s: %w", gvr.Resource, err)
		}
	}
	// An object may be there before the first list of its loop is answered: the
	// server takes requests by then, and after a restart it holds those of the
	// last run. So what is listed is answered as well.
	answer := func(gvr schema.GroupVersionResource, answer func(name string) error) {
		unanswered := func(obj *unstructured.Unstructured) {
			if _, ok := obj.Object["status"]; ok {
				return
			}
			if err := answer(obj.GetName()); err != nil {
				log.Printf("answering %s %q: %v", gvr.Resource, obj.GetName(), err)
			}
		}
		observer := observer{
			listed: func(p part) bool {
				for i := range p.items {
					unanswered(&p.items[i])
				}
				return false
			},
			changed: func(t watch.EventType, obj *unstructured.Unstructured) bool {
				if t == watch.Added {
					unanswered(obj)
				}
				return false
			},
		}
		go func() {
			for ctx.Err() == nil {
				if err := follow(ctx, client.Resource(gvr), metav1.ListOptions{}, observer); err != nil && ctx.Err() == nil {
					log.Printf("following %s: %v", gvr.Resource, err)
				}
			}
		}()
	}
	setStatus := func(gvr schema.GroupVersionResource, name string, status map[string]any) error {
		patch, err := json.Marshal(map[string]any{"status": status})
		if err != nil {
			return err
		}
		_, err = client.Resource(gvr).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	}
	answer(workspaces, func(name string) error {
		return setStatus(workspaces, name, map[string]any{"phase": "Ready"})
	})
	answer(bindings, func(name string) error {
		return setStatus(bindings, name, map[string]any{"phase": "Bound"})
	})
	answer(exports, func(name string) error {
		slice := newObject(endpoints, "APIExportEndpointSlice", name, map[string]any{"status": map[string]any{
			"endpoints": []any{map[string]any{"url": base + "/services/apiexport/provider/" + name}},
		}})
		if _, err := client.Resource(endpoints).Create(ctx, slice, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		return setStatus(exports, name, map[string]any{"identityHash": "0123456789abcdef"})
	})
	return nil
}

func defineStandIn(ctx context.Context, client dynamic.Interface, kind string, gvr schema.GroupVersionResource) error {
	name := gvr.GroupResource().String()
	crd := newObject(definitions, "CustomResourceDefinition", name, map[string]any{"spec": map[string]any{
		"group": gvr.Group, "scope": "Cluster",
		"names": map[string]any{"plural": gvr.Resource, "kind": kind},
		"versions": []any{map[string]any{
			"name": gvr.Version, "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		}},
	}})
	_, err := client.Resource(definitions).Create(ctx, crd, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) { // it is there after a restart
		return err
	}
	// Established alone does not mean served.
	for {
		_, err := client.Resource(gvr).List(ctx, metav1.ListOptions{Limit: 1})
		if !apierrors.IsNotFound(err) {
			return err
		}
		if err := crowd.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// newStandInServer returns the server that drops the prefix of a workspace, and
// writes a kubeconfig for it.
func newStandInServer(c *rest.Config, base, kubeconfig string) (*http.Server, error) {
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey("127.0.0.1", nil, []string{hostServiceHost})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	upstream, err := url.Parse(c.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(c)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // for watches
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.URL.Path = standInPrefix.ReplaceAllString(r.In.URL.Path, "")
			r.Out.URL.RawPath = ""
		},
		ErrorLog: log.New(os.Stderr, "", 0),
	}
	config := api.NewConfig()
	for _, name := range []string{"base", "shard-base"} {
		config.Clusters[name] = &api.Cluster{Server: base, CertificateAuthorityData: certPEM}
		config.AuthInfos[name] = &api.AuthInfo{Token: "unused"}
		config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	}
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return nil, err
	}
	return &http.Server{Handler: proxy, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}, nil
}
