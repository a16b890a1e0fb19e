package forward

import (
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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	clienttransport "k8s.io/client-go/transport"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/tenancy/mounts"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/virtual"
)

// Forwarder sends requests. Everything is required. It is safe for concurrent use.
type Forwarder struct {
	// Transport sends requests; see NewTransport.
	Transport http.RoundTripper
	// MaxBodyBytes bounds the body of a request.
	MaxBodyBytes int64
	// Codecs encode errors.
	Codecs runtime.NegotiatedSerializer
}

// To says where a request goes.
type To struct {
	// Target is what the path of the request comes behind; see mounts.ParseTarget.
	Target *url.URL
	// As is who the user is there; see Beyond.
	As user.Info
	// Hops is how often the request was forwarded before; see Check.
	Hops int
	// Peer names the target in messages, such as "the mounted server".
	Peer string
	// Around returns what sends the request, made of the transport of the Forwarder; nil for that itself.
	Around func(http.RoundTripper) http.RoundTripper
	// Show changes an answer that the client is about to get; nil if it is not changed.
	Show func(*http.Response) error
}

// Check returns how often a request was forwarded before, or an API status if it goes to no target. The resource is for messages.
func Check(req *http.Request, info *genericapirequest.RequestInfo, gr schema.GroupResource) (hops int, err error) {
	if hops, err = hopsOf(req.Header); err != nil {
		return 0, err
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return 0, apierrors.NewMethodNotSupported(gr, req.Method)
	}
	if hops >= MaxHops {
		return 0, apistatus.New(http.StatusLoopDetected, metav1.StatusReasonUnknown, fmt.Sprintf("the request was forwarded %d times, which is the limit", hops))
	}
	// A target that resolves them leads out of what is below its URL.
	if mounts.HasDots(req.URL.Path) {
		return 0, apierrors.NewBadRequest("invalid path: a path on another server has no segments . and .., and no backslashes")
	}
	if req.Header.Get("Upgrade") != "" && !virtual.Streams(info) {
		return 0, apierrors.NewBadRequest("only a stream can be upgraded")
	}
	return hops, nil
}

// Fail answers req with err.
func (f *Forwarder) Fail(w http.ResponseWriter, req *http.Request, err error) {
	responsewriters.ErrorNegotiated(apistatus.Of(err), f.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
}

// Send sends a request, which was checked, and shows the answer.
func (f *Forwarder) Send(w http.ResponseWriter, req *http.Request, to To) {
	if req.Body != nil {
		req.Body = http.MaxBytesReader(w, req.Body, f.MaxBodyBytes)
	}
	f.proxy(to).ServeHTTP(w, req)
}

// proxy returns what sends a request.
func (f *Forwarder) proxy(to To) http.Handler {
	transport := f.Transport
	if to.Around != nil {
		transport = to.Around(transport)
	}
	return &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // events of a watch are for now
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			rewrite(r.Out, to.Target)
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
			for _, name := range []string{HopsHeader, VirtualHopsHeader} {
				headers.Set(name, strconv.Itoa(to.Hops+1))
			}
			r.Out.Header, r.Out.Trailer = headers, nil
			clienttransport.SetAuthProxyHeaders(r.Out, to.As.GetName(), to.As.GetUID(), to.As.GetGroups(), to.As.GetExtra())
		},
		ModifyResponse: func(answer *http.Response) error {
			if err := show(answer); err != nil || to.Show == nil {
				return err
			}
			return to.Show(answer)
		},
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			klog.FromContext(req.Context()).V(4).Info("Another server does not answer", "reason", err.Error())
			f.Fail(w, req, statusOf(err, to.Peer))
		},
	}
}

// rewrite gives req the URL of its path below target.
func rewrite(req *http.Request, target *url.URL) {
	escaped := target.EscapedPath() + req.URL.EscapedPath()
	req.URL = &url.URL{Scheme: target.Scheme, Host: target.Host, Path: target.Path + req.URL.Path, RawPath: escaped, RawQuery: req.URL.RawQuery}
	req.Host = "" // that of the URL
}
