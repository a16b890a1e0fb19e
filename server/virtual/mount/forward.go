package mount

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	clienttransport "k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/mounts"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// AuditTarget is the audit annotation with the URL that a request was forwarded to the server of.
const AuditTarget = "annex.dev/mount"

// Forward implements virtual.Forwarding.
func (e *Endpoint) Forward(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo) {
	if err := e.forward(w, req, info); err != nil {
		e.fail(w, req, err)
	}
}

// fail answers req with err.
func (e *Endpoint) fail(w http.ResponseWriter, req *http.Request, err error) {
	responsewriters.ErrorNegotiated(apistatus.Of(err), e.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
}

// forward answers req, or returns what to answer with.
func (e *Endpoint) forward(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo) error {
	ctx := req.Context()
	at, err := where(ctx)
	if err != nil {
		return apistatus.Internal(err)
	}
	target, err := e.target(ctx, at)
	if err != nil {
		return err
	}
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return apistatus.Internal(errNoEndpoint)
	}
	who, ok := beyond(u)
	if !ok {
		return apierrors.NewForbidden(workspaces, at.Name, fmt.Errorf("user %q is known to this server only, and cannot use what is mounted", u.GetName()))
	}
	hops, err := hopsOf(req.Header)
	if err != nil {
		return err
	}
	if err := check(req, info, hops); err != nil {
		return err
	}
	audit.AddAuditAnnotation(ctx, AuditTarget, target.String())
	if virtual.Streams(info) {
		var done func()
		ctx, done = e.Watches.Hold(ctx, e.condition(at, target.String()))
		defer done()
	}
	req = req.WithContext(ctx)
	if req.Body != nil {
		req.Body = http.MaxBytesReader(w, req.Body, e.MaxBodyBytes)
	}
	e.proxy(target, who, hops).ServeHTTP(w, req)
	return nil
}

// target returns where requests to the Workspace go. Errors are API statuses.
func (e *Endpoint) target(ctx context.Context, at client.Key) (*url.URL, error) {
	ws, err := client.FindNow[tenancyv1alpha1.Workspace](ctx, e.Cached, e.Live, workspaces, at)
	switch {
	case err != nil:
		return nil, apistatus.Internal(err)
	case ws == nil || ws.Spec.Mount == nil:
		return nil, apistatus.NotServed() // it was there a moment ago
	case !isReady(ws):
		return nil, apierrors.NewServiceUnavailable("Not available.")
	}
	target, err := mounts.ParseTarget(ws.Spec.URL)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable("Not available.")
	}
	return target, nil
}

func isReady(ws *tenancyv1alpha1.Workspace) bool {
	return ws.DeletionTimestamp == nil && ws.Spec.Cluster == "" && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseReady
}

// condition is the one under which a stream goes on.
func (e *Endpoint) condition(at client.Key, target string) serve.Condition {
	inactive := e.Inactive(at.Cluster)
	return serve.Condition{Cluster: at.Cluster, Holds: func(ctx context.Context) bool {
		now, err := e.target(ctx, at)
		return err == nil && now.String() == target && e.Inactive(at.Cluster) == inactive
	}}
}

// check refuses what goes to no target. Errors are API statuses.
func check(req *http.Request, info *genericapirequest.RequestInfo, hops int) error {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return apierrors.NewMethodNotSupported(workspaces, req.Method)
	}
	if hops >= maxHops {
		return apistatus.New(http.StatusLoopDetected, metav1.StatusReasonUnknown, fmt.Sprintf("the request has come through %d mounted workspaces, which is the limit", hops))
	}
	// A target that resolves them leads out of what is mounted.
	if mounts.HasDots(req.URL.Path) {
		return apierrors.NewBadRequest("invalid path: a mounted workspace has no segments . and .., and no backslashes")
	}
	if req.Header.Get("Upgrade") != "" && !virtual.Streams(info) {
		return apierrors.NewBadRequest("only a stream can be upgraded")
	}
	return nil
}

// proxy returns what sends a request of who to target. The request has come through a number of mounts before.
func (e *Endpoint) proxy(target *url.URL, who user.Info, hops int) http.Handler {
	return &httputil.ReverseProxy{
		Transport:     e.Transport,
		FlushInterval: -1, // events of a watch are for now
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			rewrite(r.Out, target)
			headers := only(r.Out.Header, sent)
			if r.Out.Header.Get("Upgrade") != "" {
				headers = only(r.Out.Header, sent, upgrading)
				if offered := protocols(r.In.Header); len(offered) > 0 {
					headers[websocketProtocols] = []string{strings.Join(offered, ", ")}
				}
			}
			if headers.Get("User-Agent") == "" {
				headers["User-Agent"] = []string{""} // otherwise the transport has one of its own
			}
			headers.Set(hopsHeader, strconv.Itoa(hops+1))
			r.Out.Header, r.Out.Trailer = headers, nil
			clienttransport.SetAuthProxyHeaders(r.Out, who.GetName(), who.GetUID(), who.GetGroups(), who.GetExtra())
		},
		ModifyResponse: show,
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			klog.FromContext(req.Context()).V(4).Info("A mounted server does not answer", "reason", err.Error())
			e.fail(w, req, statusOf(err))
		},
	}
}

// rewrite gives req the URL of its path below target.
func rewrite(req *http.Request, target *url.URL) {
	escaped := target.EscapedPath() + req.URL.EscapedPath()
	req.URL = &url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path + req.URL.Path, RawPath: escaped, RawQuery: req.URL.RawQuery}
	req.Host = "" // that of the URL
}
