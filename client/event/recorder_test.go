package event

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var kind = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Thing"}

// book is a recorder whose keys are written when the test says so.
type book struct {
	t *testing.T
	*Recorder
	fake  *clienttest.Fake
	clock *testingclock.FakeClock
	keys  []client.Key
}

func newBook(t *testing.T, fake *clienttest.Fake) *book {
	b := &book{t: t, fake: fake, clock: testingclock.NewFakeClock(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))}
	b.Recorder = newRecorder(fake, "test", b.clock)
	b.Use(func(key client.Key, _ time.Duration) { b.keys = append(b.keys, key) })
	return b
}

func (b *book) write() {
	b.t.Helper()
	for _, key := range b.keys {
		b.Write(b.t.Context(), key)
	}
	b.keys = nil
}

func (b *book) in(cluster logicalcluster.Name) []*corev1.Event {
	b.t.Helper()
	all, err := client.List[corev1.Event](b.t.Context(), b.fake, events, client.Scope{Cluster: cluster})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func thing(cluster logicalcluster.Name, name string) client.Object {
	return clienttest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-1"}})
}

func TestRecorder_WritesAndCounts(t *testing.T) {
	fake := clienttest.NewFake()
	b := newBook(t, fake)
	tell := func(b *book) { b.Record(thing("a", "x"), kind, corev1.EventTypeWarning, "Refused", "no") }
	tell(b)
	tell(b)
	b.write()
	all := b.in("a")
	if len(all) != 1 || all[0].Namespace != "default" || all[0].Series != nil || all[0].EventTime.IsZero() || all[0].Reason != "Refused" || all[0].Message != "no" || all[0].Type != "Warning" || all[0].ReportingController != "test" ||
		all[0].InvolvedObject != (corev1.ObjectReference{APIVersion: "example.com/v1", Kind: "Thing", Name: "x", UID: "uid-1"}) || !strings.HasPrefix(all[0].Name, "x.") {
		t.Fatalf("events: %+v", all)
	}
	first := all[0].Name

	// The same again is counted, by this server and by the one after it.
	b.clock.Step(again)
	tell(b)
	b.write()
	next := newBook(t, fake)
	tell(next)
	next.write()
	if all = b.in("a"); len(all) != 1 || all[0].Name != first || all[0].Series == nil || all[0].Series.Count != 3 {
		t.Errorf("events: %+v", all)
	}

	// Something else is not.
	b.Record(thing("a", "x"), kind, corev1.EventTypeWarning, "Refused", "for another reason")
	b.Record(thing("b", "x"), kind, corev1.EventTypeWarning, "Refused", "no")
	b.write()
	if got, other := len(b.in("a")), len(b.in("b")); got != 2 || other != 1 {
		t.Errorf("%d and %d events, want 2 and 1", got, other)
	}
}

func TestRecorder_LimitsEachWorkspace(t *testing.T) {
	b := newBook(t, clienttest.NewFake())
	flood := func(cluster logicalcluster.Name, round string) {
		for i := range 100 {
			b.Record(thing(cluster, fmt.Sprintf("x%d", i)), kind, corev1.EventTypeWarning, "Refused", round)
		}
		b.write()
	}
	flood("a", "first")
	flood("b", "first")
	if got, other := len(b.in("a")), len(b.in("b")); got != burst || other != burst {
		t.Errorf("%d and %d events, want %d", got, other, burst)
	}
	b.clock.Step(time.Minute)
	flood("a", "second")
	if got := len(b.in("a")); got != burst+2 {
		t.Errorf("%d events after a minute, want %d", got, burst+2)
	}
}

func TestRecorder_BoundsWhatWaits(t *testing.T) {
	b := newBook(t, clienttest.NewFake())
	for i := range 3 * maxPending {
		b.Record(thing(logicalcluster.Name(fmt.Sprintf("c%d", i)), "x"), kind, corev1.EventTypeWarning, "Refused", "no")
	}
	if len(b.pending) != maxPending || len(b.keys) != maxPending {
		t.Errorf("%d Events wait with %d keys, want %d", len(b.pending), len(b.keys), maxPending)
	}
	b.write()
	if len(b.pending) != 0 {
		t.Errorf("%d are still waiting", len(b.pending))
	}
}

func TestRecorder_NothingFails(t *testing.T) {
	b := newBook(t, clienttest.NewFake())
	b.fake.Intercept(func(string, schema.GroupResource, client.Key) error {
		return errors.New("the workspace is being deleted")
	})
	b.Record(thing("a", "x"), kind, corev1.EventTypeWarning, "Refused", "no")
	b.write()
	b.Record(thing("system:admin", "x"), kind, corev1.EventTypeWarning, "Refused", "no")
	b.Record(&corev1.ConfigMap{}, kind, corev1.EventTypeWarning, "Refused", "no")
	b.Use(nil)
	b.Record(thing("c", "x"), kind, corev1.EventTypeWarning, "Refused", "no")
	if len(b.keys) != 0 || len(b.pending) != 0 {
		t.Errorf("%v wait to be written", b.keys)
	}
}

func TestRecorder_LongNamesAndMessages(t *testing.T) {
	b := newBook(t, clienttest.NewFake())
	b.Record(thing("a", strings.Repeat("a.", 125)+"b"), kind, corev1.EventTypeWarning, "Refused", strings.Repeat("ö", maxMessage))
	b.write()
	all := b.in("a")
	if len(all) != 1 || len(all[0].Name) > 253 || strings.Contains(all[0].Name, "..") || len(all[0].Message) > maxMessage || strings.ToValidUTF8(all[0].Message, "") != all[0].Message {
		t.Errorf("events: %+v", all)
	}
}
