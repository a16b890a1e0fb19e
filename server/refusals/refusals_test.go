package refusals

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/user"
)

// perSecond is low, so that a slow machine does not earn what a test spends.
const perSecond = 2

type whoKey struct{}

// world is a server that knows tokens that begin with "good-" and the users that a front proxy with a certificate names, lets nobody
// but "good-admin" do anything, and takes everybody else for anonymous unless they have a token.
type world struct {
	*testing.T
	handler http.Handler
	served  int
	// revoked is a token that the server no longer knows.
	revoked string
}

func newWorld(t *testing.T, perSecond int) *world {
	t.Helper()
	return newSlowWorld(t, perSecond, 0)
}

// newSlowWorld returns one that holds answers to floods.
func newSlowWorld(t *testing.T, perSecond int, hold time.Duration) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	w := &world{T: t}
	inner := With(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.served++
		token, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		who := r.Context().Value(whoKey{}).(*user.DefaultInfo)
		switch {
		case strings.HasPrefix(token, "robot-"): // of a workspace, with a number
			home, _, _ := strings.Cut(strings.TrimPrefix(token, "robot-"), "-")
			who.Name, who.Extra = "system:serviceaccount:default:robot", map[string][]string{"authentication.kcp.io/cluster-name": {home}}
		case strings.HasPrefix(token, "good-") && token != w.revoked:
			who.Name = token
		case given:
			rw.WriteHeader(http.StatusUnauthorized)
			return
		case r.TLS != nil && r.Header.Get("X-Remote-User") != "":
			who.Name = r.Header.Get("X-Remote-User")
		default:
			who.Name, who.Groups = user.Anonymous, []string{user.AllUnauthenticated}
		}
		if who.Name == "good-admin" {
			_, _ = rw.Write([]byte("ok")) // without a header before
			return
		}
		rw.WriteHeader(http.StatusForbidden)
	}), Config{PerSecond: perSecond, Hold: hold, Codecs: serializer.NewCodecFactory(scheme), Requestor: func(ctx context.Context) (user.Info, bool) {
		who := ctx.Value(whoKey{}).(*user.DefaultInfo)
		return who, who.Name != ""
	}})
	w.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), whoKey{}, &user.DefaultInfo{})))
	})
	return w
}

// ask sends a request from an address, with a token, a certificate, or the name of a user as a front proxy sends it.
func (w *world) ask(address, token, certificate, remote string) int {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), http.MethodGet, "/clusters/root/api/v1/secrets", nil)
	r.RemoteAddr = address
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if certificate != "" {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte(certificate)}}}
	}
	if remote != "" {
		r.Header.Set("X-Remote-User", remote)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	if recorder.Code == http.StatusTooManyRequests && recorder.Header().Get("Retry-After") != "1" {
		w.Errorf("429 with Retry-After %q", recorder.Header().Get("Retry-After"))
	}
	return recorder.Code
}

// flood sends requests until one gets 429.
func (w *world) flood(send func(i int) int) {
	w.Helper()
	for i := range 100 * burst * perSecond {
		if send(i) == http.StatusTooManyRequests {
			return
		}
	}
	w.Fatal("the flood is not limited")
}

func (w *world) want(what string, want, got int) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %d, want %d", what, got, want)
	}
}

const here, elsewhere = "192.0.2.1:1000", "192.0.2.2:1000"

func TestFloodOfUnknownTokens(t *testing.T) {
	w := newWorld(t, perSecond)
	w.want("a user who was here before", http.StatusOK, w.ask(here, "good-admin", "", ""))
	w.flood(func(i int) int { return w.ask(fmt.Sprintf("192.0.2.1:%d", 2000+i), fmt.Sprintf("bad-%d", i), "", "") })
	for range 20 {
		w.want("the user behind the same address", http.StatusOK, w.ask(here, "good-admin", "", ""))
		w.want("users elsewhere", http.StatusOK, w.ask(elsewhere, "good-admin", "", ""))
	}
	before := w.served
	w.flood(func(int) int { return w.ask(here, "bad", "", "") })
	if w.served-before > burst*perSecond {
		t.Errorf("%d of the flood were looked at", w.served-before)
	}
}

func TestFloodOfRefusalsOfOneUser(t *testing.T) {
	w := newWorld(t, perSecond)
	w.flood(func(int) int { return w.ask(here, "good-nobody", "", "") })
	w.want("another user at the address", http.StatusOK, w.ask(here, "good-admin", "", ""))
	w.want("a new user at the address", http.StatusForbidden, w.ask(here, "good-newcomer", "", ""))
	w.want("the same user elsewhere", http.StatusForbidden, w.ask(elsewhere, "good-nobody", "", ""))
}

// Tenants make ServiceAccounts and tokens as they like, and give them the names that others have.
func TestFloodOfRefusalsOfServiceAccounts(t *testing.T) {
	w := newWorld(t, perSecond)
	w.want("an account of the same name", http.StatusForbidden, w.ask(here, "robot-b-0", "", ""))
	before := w.served
	w.flood(func(i int) int { return w.ask(here, fmt.Sprintf("robot-a-%d", i%10), "", "") })
	if w.served-before > 2*burst*perSecond {
		t.Errorf("%d of the flood were looked at: its tokens do not share an account", w.served-before)
	}
	for range burst * perSecond / 2 {
		w.want("an account of the same name in another workspace", http.StatusForbidden, w.ask(here, "robot-b-0", "", ""))
	}
	w.want("a user at the address", http.StatusOK, w.ask(here, "good-admin", "", ""))
}

// What a client adds to its credentials, such as a second token that nobody reads, gives it no new account.
func TestFloodOfRefusalsOfOneUserInManyForms(t *testing.T) {
	w := newWorld(t, perSecond)
	w.want("a user who was here before", http.StatusOK, w.ask(here, "good-admin", "", ""))
	w.flood(func(i int) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/clusters/root/api/v1/secrets", nil)
		r.RemoteAddr = here
		r.Header.Set("Authorization", "Bearer good-nobody")
		r.Header.Set("Sec-Websocket-Protocol", fmt.Sprint(i))
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, r)
		return recorder.Code
	})
	w.want("the user behind the same address", http.StatusOK, w.ask(here, "good-admin", "", ""))
	w.want("the same user elsewhere", http.StatusForbidden, w.ask(elsewhere, "good-nobody", "", ""))
}

// Whoever has no credentials that the server knows is one with their address, whatever they write into headers.
func TestFloodOfAnonymousRequests(t *testing.T) {
	for name, send := range map[string]func(w *world, i int) int{
		"nothing":            func(w *world, _ int) int { return w.ask(here, "", "", "") },
		"a name each":        func(w *world, i int) int { return w.ask(here, "", "", fmt.Sprintf("user-%d", i)) },
		"a certificate each": func(w *world, i int) int { return w.ask(here, "", fmt.Sprintf("certificate-%d", i), "") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, perSecond)
			w.flood(func(i int) int { return send(w, i) })
			w.want("anonymous users elsewhere", http.StatusForbidden, w.ask(elsewhere, "", "", ""))
		})
	}
	w := newWorld(t, perSecond)
	w.flood(func(i int) int { return w.ask(fmt.Sprintf("[2001:db8::%x]:1000", i+1), "", "", "") })
	w.want("another network", http.StatusForbidden, w.ask("[2001:db8:0:1::1]:1000", "", "", ""))
}

func TestFloodThroughAFrontProxy(t *testing.T) {
	w := newWorld(t, perSecond)
	const proxy = "the front proxy"
	w.flood(func(int) int { return w.ask(here, "", proxy, "mallory") })
	w.want("another user of the host", http.StatusForbidden, w.ask(here, "", proxy, "alice"))
	// Who only says to be alice draws on nobody else's account.
	w.flood(func(int) int { return w.ask(elsewhere, "", "", "alice") })
	w.want("alice", http.StatusForbidden, w.ask(here, "", proxy, "alice"))
}

// A token that was accepted once does not lift its flood over the limit for ever.
func TestATokenThatIsNoLongerAccepted(t *testing.T) {
	w := newWorld(t, perSecond)
	w.want("while it is accepted", http.StatusForbidden, w.ask(here, "good-revoked", "", ""))
	w.revoked = "good-revoked"
	w.flood(func(int) int { return w.ask(here, "good-revoked", "", "") })
	w.want("another user at the address, who is new", http.StatusTooManyRequests, w.ask(here, "good-newcomer", "", ""))
}

// Answers to a flood come late, but only so many of them wait at a time.
func TestFloodIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hold = 10 * time.Millisecond // so that the account earns little meanwhile
		w := newSlowWorld(t, perSecond, hold)
		w.flood(func(int) int { return w.ask(here, "bad", "", "") })
		takes := func(what string, want time.Duration) {
			t.Helper()
			began := time.Now()
			w.want(what, http.StatusTooManyRequests, w.ask(here, "bad", "", ""))
			if got := time.Since(began); got < want || got > want+want/2 {
				t.Errorf("%s is answered after %s, want %s", what, got, want)
			}
		}
		takes("the flood", hold)
		// Large headers take most of the room, and small requests the rest.
		large := "bad" + strings.Repeat(" ", room/4)
		for range 3 {
			go w.ask(here, large, "", "")
		}
		synctest.Wait()
		for range room / 4 / each {
			go w.ask(here, "bad", "", "")
		}
		synctest.Wait()
		takes("more than can be held", 0)
		began := time.Now()
		w.want("a user elsewhere", http.StatusOK, w.ask(elsewhere, "good-admin", "", ""))
		if waited := time.Since(began); waited > 0 {
			t.Errorf("a user elsewhere waited for %s", waited)
		}
		time.Sleep(hold + hold/2)
		synctest.Wait()
		takes("the flood, later", hold)
	})
}

// The more refusals there were, the longer is the next one held. Few are not held, nor is what is not refused.
func TestRefusalsAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hold = 100 * time.Millisecond
		w := newSlowWorld(t, perSecond, hold)
		ask := func(token string, want int) time.Duration {
			began := time.Now()
			w.want(token, want, w.ask(here, token, "", ""))
			return time.Since(began)
		}
		var took []time.Duration
		for range burst * perSecond {
			took = append(took, ask("bad", http.StatusUnauthorized))
		}
		if few := took[:2]; few[0] != 0 || few[1] != 0 {
			t.Errorf("the first refusals took %s", few)
		}
		if last := took[len(took)-1]; last < hold*3/4 || last > hold*3/2 {
			t.Errorf("the last refusal took %s, want about %s", last, hold)
		}
		if middle := took[len(took)/2]; middle < hold/3 || middle > hold*4/5 {
			t.Errorf("a refusal in between took %s, want about half of %s", middle, hold)
		}
		w.want("a user elsewhere", http.StatusForbidden, w.ask(elsewhere, "good-user", "", ""))
		time.Sleep(time.Second)
		if got := ask("good-admin", http.StatusOK); got != 0 {
			t.Errorf("what is not refused takes %s", got)
		}
	})
}

// Nobody waits for a client that has left.
func TestFloodOfClientsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlowWorld(t, perSecond, time.Hour)
		for range burst * perSecond {
			w.ask(here, "bad", "", "")
		}
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		began := time.Now()
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/clusters/root/api/v1/secrets", nil)
		request.RemoteAddr = here
		w.handler.ServeHTTP(httptest.NewRecorder(), request)
		if waited := time.Since(began); waited != time.Millisecond {
			t.Errorf("the request of a client that left after a millisecond ended after %s", waited)
		}
	})
}

func TestWithoutALimit(t *testing.T) {
	w := newWorld(t, 0)
	for i := range 100 {
		w.want("a request", http.StatusUnauthorized, w.ask(here, fmt.Sprintf("bad-%d", i), "", ""))
	}
}
