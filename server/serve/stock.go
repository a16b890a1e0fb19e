package serve

import (
	"hash/maphash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Advice says what is wrong with a stock informer on a wildcard URL, and what to use. Nothing else would: such an operator starts without an error,
// and keeps one of all objects that share namespace and name.
const Advice = "informers and caches of client-go and controller-runtime identify objects by namespace and name, and silently lose objects of workspaces that use equal names: " +
	"use the Go package github.com/annex-dev/annex/client/operator. A client that identifies objects by cluster, too, sends the header " + client.AwareHeader + ": true"

// OneCluster returns the error for a request that must name one cluster, and names all of them, for example "all consumers".
func OneCluster(gr schema.GroupResource, verb, all string) error {
	err := apierrors.NewMethodNotSupported(gr, verb+" across "+all)
	err.ErrStatus.Message += ": " + toName
	return err
}

// NoNamespace returns the error for a request that names all clusters and one namespace.
func NoNamespace(all string) error {
	return apierrors.NewBadRequest("a request for " + all + " cannot name a namespace: " + toName)
}

const toName = "name one cluster in the URL, in place of the asterisk. If this is an operator: " + Advice

// advised remembers whom the server has told [Advice], so that a client is told once for each connection and kind, and again after an hour. It has a
// fixed size: who falls out of it is told again.
type advised struct {
	clock clock.PassiveClock
	seed  maphash.Seed

	mu    sync.Mutex
	slots [1024]slot
}

type slot struct {
	hash uint64
	at   time.Time
}

// again is the time after which a client is told again.
const again = time.Hour

func newAdvised(c clock.PassiveClock) *advised { return &advised{clock: c, seed: maphash.MakeSeed()} }

// advise adds a Warning to the answer to what a stock informer asks of all clusters.
func (a *advised) advise(req *http.Request, info *genericapirequest.RequestInfo) {
	ctx := req.Context()
	if !logicalcluster.IsWildcard(ctx) || !reflects(req, info) || isAware(req.Header) {
		return
	}
	var h maphash.Hash
	h.SetSeed(a.seed)
	who := ""
	if u, ok := genericapirequest.UserFrom(ctx); ok {
		who = u.GetName()
	}
	for _, part := range []string{who, req.RemoteAddr, req.UserAgent(), info.APIGroup, info.Resource} {
		_, _ = h.WriteString(part + "\x00") // cannot fail
	}
	sum, now := h.Sum64(), a.clock.Now()
	a.mu.Lock()
	s := &a.slots[sum%uint64(len(a.slots))]
	known := s.hash == sum && now.Sub(s.at) < again
	if !known {
		*s = slot{hash: sum, at: now}
	}
	a.mu.Unlock()
	if !known {
		warning.AddWarning(ctx, "", Advice)
	}
}

// reflects reports whether a request is one of those by which a reflector, the source of every stock informer, fills its store. kubectl and other
// clients that show what they get ask for neither bookmarks nor what is cached.
func reflects(req *http.Request, info *genericapirequest.RequestInfo) bool {
	query := req.URL.Query()
	isSet := func(option string) bool {
		set, err := strconv.ParseBool(query.Get(option))
		return err == nil && set
	}
	switch info.Verb {
	case "watch":
		return isSet("allowWatchBookmarks") || isSet("sendInitialEvents")
	case "list":
		return query.Get("resourceVersion") == "0"
	}
	return false
}

// isAware reports whether a client says that it identifies objects by cluster, too. Controllers of kcp do so and call themselves kcp.
func isAware(header http.Header) bool {
	aware, err := strconv.ParseBool(header.Get(client.AwareHeader))
	return err == nil && aware || strings.Contains(header.Get("User-Agent"), "kcp")
}
