package refusals

import (
	"context"
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
	basemetrics "k8s.io/component-base/metrics"
	"k8s.io/utils/lru"

	"github.com/annex-dev/annex/registry/nice"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

const (
	// burst is how many seconds' worth of refusals an account may be charged with at once.
	burst = 10
	// accounts and credentials are how many of either are kept; about 20 MiB when all are in use.
	accounts    = 1 << 15
	credentials = 1 << 16
	// room is how many bytes the requests have at a time whose answers are held, and each what it takes without its headers.
	room, each = 32 << 20, 32 << 10
	// suspicious is what part of its burst an account is charged with from which on its requests give way to others, and refusals are held: the
	// longer, the more of the burst is gone.
	suspicious = 0.1
	// spread is by which part an answer is held longer at most.
	spread = 0.5
	// retryAfter is when a client should come again, in seconds.
	retryAfter = 1
)

// rejected counts what was answered with 429.
var rejected = basemetrics.NewCounter(&basemetrics.CounterOpts{
	Namespace: "annex", Subsystem: "refusals", Name: "rejected_total", StabilityLevel: basemetrics.ALPHA,
	Help: "Requests answered with 429 because too many of the same origin were refused with 401 or 403.",
})

// Register makes the metrics known, for example with legacyregistry.Register.
func Register(register func(basemetrics.Registerable) error) error { return register(rejected) }

// origin identifies credentials as they come from one address, a user at one address, or an address alone.
type origin [sha256.Size]byte

// Config is what the limits need. Everything is required.
type Config struct {
	// PerSecond is how many refusals a second an account may be charged with in the long run; 0 means no limit.
	PerSecond int
	// Hold is how long an answer with 429 is held back, and up to half as long again; 0 means not at all. The last refusals before that are
	// held for a part of it.
	Hold time.Duration
	// Requestor returns who was authenticated for the request of a context, once that is known.
	Requestor func(ctx context.Context) (user.Info, bool)
	// Codecs encode errors.
	Codecs runtime.NegotiatedSerializer
}

// filter is the handler. It is safe for concurrent use.
type filter struct {
	Config
	next http.Handler
	// accounts maps an origin to a *rate.Limiter. accepted maps credentials that were accepted to the account of their user.
	accounts, accepted *lru.Cache
	// room is for requests whose answers are held, in bytes.
	room *semaphore.Weighted
}

// With returns next for those who are not refused too often. Put it outside of authentication.
func With(next http.Handler, c Config) http.Handler {
	if c.PerSecond <= 0 {
		return next
	}
	return &filter{Config: c, next: next, accounts: lru.New(accounts), accepted: lru.New(credentials), room: semaphore.NewWeighted(room)}
}

// ServeHTTP implements http.Handler.
func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address := addressOf(r)
	who := whoOf(r, address)
	payer := address
	own, known := f.accepted.Get(who)
	if known {
		payer = own.(origin)
	}
	if f.overdrawn(payer) {
		rejected.Inc()
		f.hold(r, f.Hold)
		responsewriters.ErrorNegotiated(apierrors.NewTooManyRequests("too many requests were refused, try again later", retryAfter), f.Codecs, schema.GroupVersion{Version: "v1"}, w, r)
		return
	}
	charged := 0.0
	if f.used(payer) > suspicious {
		nice.Wait(r.Context())
	}
	f.next.ServeHTTP(responsewriter.WrapForHTTP1Or2(&watcher{ResponseWriter: w, answered: func(code int) {
		payer := address
		if name, ok := f.authenticated(r.Context()); ok {
			own := accountOf(address, name)
			f.accepted.Add(who, own)
			// Who sends the same credentials in ever new forms, with a header that nobody reads, is not stopped by an account of its own.
			if known || !f.overdrawn(own) {
				payer = own
			}
		} else {
			f.accepted.Remove(who)
		}
		if code == http.StatusUnauthorized || code == http.StatusForbidden {
			f.charge(payer)
			charged = f.used(payer)
		}
	}}), r)
	// The answer is short, so it leaves with the end of this handler.
	if charged > suspicious {
		f.hold(r, time.Duration(charged*float64(f.Hold)))
	}
}

// hold waits with an answer for so long, or up to half as long again, or until the client has left. Most clients send the next request after the answer, so
// a flood of them becomes slow, and leaves the processors to others. If there is no room for one more request, it does not wait.
func (f *filter) hold(r *http.Request, long time.Duration) {
	size := sizeOf(r)
	if !f.room.TryAcquire(size) {
		return
	}
	defer f.room.Release(size)
	// Not all at the same time, or the next requests of a flood come all at once.
	over := time.NewTimer(wait.Jitter(long, spread))
	defer over.Stop()
	select {
	case <-over.C:
	case <-r.Context().Done():
	}
}

// sizeOf returns about how many bytes of memory a request takes whose body nobody reads. Its URL and its headers may have a megabyte.
func sizeOf(r *http.Request) int64 {
	size := each + len(r.RequestURI)
	for name, values := range r.Header {
		size += len(name)
		for _, value := range values {
			size += len(value)
		}
	}
	return int64(size)
}

// authenticated returns whose account a user has, and whether the server knows the user. Whoever comes without credentials, or with some that
// nobody looks at, is nobody in particular. All ServiceAccounts of a workspace have one account: their names are the same in other
// workspaces, and tenants make as many as they like.
func (f *filter) authenticated(ctx context.Context) (name string, ok bool) {
	u, ok := f.Requestor(ctx)
	if !ok || u.GetName() == user.Anonymous || slices.Contains(u.GetGroups(), user.AllUnauthenticated) {
		return "", false
	}
	if home := u.GetExtra()[policy.ClusterNameKey]; len(home) > 0 {
		return policy.ClusterGroupPrefix + home[0], true
	}
	return u.GetName(), true
}

func (f *filter) overdrawn(payer origin) bool {
	account, ok := f.accounts.Get(payer)
	return ok && account.(*rate.Limiter).Tokens() < 1
}

// used returns what part of its burst an account is charged with, from 0 to 1.
func (f *filter) used(payer origin) float64 {
	account, ok := f.accounts.Get(payer)
	if !ok {
		return 0
	}
	most := float64(burst * f.PerSecond)
	return min(1, (most-account.(*rate.Limiter).Tokens())/most)
}

// charge takes one refusal from an account, which may be overdrawn by as many requests as were under way.
func (f *filter) charge(payer origin) {
	account, ok := f.accounts.Get(payer)
	if !ok {
		account = rate.NewLimiter(rate.Limit(f.PerSecond), burst*f.PerSecond)
		f.accounts.Add(payer, account)
	}
	account.(*rate.Limiter).Reserve()
}

// addressOf returns where the request comes from. A user of IPv6 has a whole /64.
func addressOf(r *http.Request) origin {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Is6() && !address.Is4In6() {
		if prefix, err := address.WithZone("").Prefix(64); err == nil {
			host = prefix.String()
		}
	}
	return sha256.Sum256([]byte(host))
}

// accountOf returns the account of a user at an address.
func accountOf(address origin, name string) origin {
	return sha256.Sum256(append(address[:], name...))
}

// whoOf returns the credentials of the request as they come from address, with the user whom a front proxy names. The address is a part of it, so that nobody draws on the account of others by writing their name into a header.
func whoOf(r *http.Request, address origin) origin {
	hash := sha256.New()
	add := func(part []byte) {
		sum := sha256.Sum256(part)
		hash.Write(sum[:])
	}
	add(address[:])
	for _, header := range []string{"Authorization", "Sec-Websocket-Protocol"} { // browsers send a token in the latter
		for _, value := range r.Header.Values(header) {
			add([]byte(value))
		}
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		add(r.TLS.PeerCertificates[0].Raw)
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for name := range r.Header {
				if strings.HasPrefix(name, "X-Remote-") && !yield(name) {
					return
				}
			}
		}) {
			add([]byte(name))
			for _, value := range r.Header[name] {
				add([]byte(value))
			}
		}
	}
	return origin(hash.Sum(nil))
}

// watcher tells with what code a request is answered.
type watcher struct {
	http.ResponseWriter
	answered func(code int)
	done     bool
}

var _ responsewriter.UserProvidedDecorator = &watcher{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *watcher) WriteHeader(code int) {
	if !w.done && code >= http.StatusOK {
		w.done = true
		w.answered(code)
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *watcher) Write(content []byte) (int, error) {
	if !w.done {
		w.done = true
		w.answered(http.StatusOK)
	}
	return w.ResponseWriter.Write(content)
}
