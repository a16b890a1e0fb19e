package replicas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	writers = 4
	// pace is the time between two objects of a writer.
	pace = 10 * time.Millisecond
)

// roundTripper is a function.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func withoutRetryAfter(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if response != nil {
			response.Header.Del("Retry-After")
		}
		return response, err
	})
}

// retriable reports whether err is nothing but a reason to try again: the connection failed, or the answer says so.
func retriable(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	switch status.Status().Code {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// load is writers that create ConfigMaps one after the other, each attempt at another replica.
type load struct {
	t       *testing.T
	prefix  string
	at      *clients
	stopped chan struct{}
	all     sync.WaitGroup

	mu           sync.Mutex
	tried        int
	acknowledged map[string]bool
	faults       map[string]int
	last         time.Time
	pause        time.Duration
}

// startLoad begins to write in the workspace at path; end must be called.
func (w *world) startLoad(t *testing.T, path, prefix string) *load {
	t.Helper()
	l := &load{t: t, prefix: prefix, at: w.in(t, path), stopped: make(chan struct{}), acknowledged: map[string]bool{}, faults: map[string]int{}, last: time.Now()}
	for writer := range writers {
		l.all.Go(func() {
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for k := 0; ; k++ {
				select {
				case <-l.stopped:
					return
				case <-tick.C:
				}
				l.write(fmt.Sprintf("%s-%d-%d", prefix, writer, k), writer+k)
			}
		})
	}
	return l
}

// write creates one object, again and again until it is acknowledged or the load is stopped.
func (l *load) write(name string, turn int) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"name": name}}
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithTimeout(l.t.Context(), requestTimeout)
		_, err := l.at.typed[(turn+attempt)%replicas].CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{})
		cancel()
		if l.note(name, err, attempt > 0) {
			return
		}
		select {
		case <-l.stopped:
			return
		case <-time.After(pace):
		}
	}
}

// note counts one answer and reports whether the object is known to exist.
func (l *load) note(name string, err error, again bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried++
	switch {
	case err == nil, again && apierrors.IsAlreadyExists(err):
		l.acknowledged[name] = true
		l.pause = max(l.pause, time.Since(l.last))
		l.last = time.Now()
		return true
	case retriable(err):
		var status apierrors.APIStatus
		kind := "connection"
		if errors.As(err, &status) {
			kind = fmt.Sprint(status.Status().Code)
		}
		l.faults[kind]++
	default:
		l.t.Errorf("creating %s: %v", name, err)
	}
	return false
}

// count returns how many objects are acknowledged.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// more waits until n further objects are acknowledged.
func (l *load) more(n int) {
	l.t.Helper()
	before := l.count()
	annex.Eventually(l.t, func(context.Context) error {
		if now := l.count(); now < before+n {
			return fmt.Errorf("%d of %d writes are acknowledged", now-before, n)
		}
		return nil
	})
}

// end stops the writers and fails the test unless every replica has every object that was acknowledged.
func (l *load) end() {
	l.t.Helper()
	close(l.stopped)
	l.all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range replicas {
		found, err := list(l.t.Context(), l.at.typed[i])
		if err != nil {
			l.t.Errorf("listing at server %d: %v", i, err)
			continue
		}
		lost := 0
		for name := range l.acknowledged {
			if !found[name] {
				lost++
				l.t.Errorf("%s was acknowledged and server %d does not have it", name, i)
			}
			if lost > 10 {
				break
			}
		}
		l.t.Logf("%s: %d tried, %d acknowledged, %d lost at server %d", l.prefix, l.tried, len(l.acknowledged), lost, i)
	}
	l.t.Logf("%s: longest time without an acknowledged write %s; tried again after %v", l.prefix, l.pause.Round(time.Millisecond), l.faults)
}

// list returns the names of the ConfigMaps that hold what they should.
func list(ctx context.Context, client kubernetes.Interface) (map[string]bool, error) {
	objects, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, object := range objects.Items {
		found[object.Name] = object.Data["name"] == object.Name
	}
	return found, nil
}
