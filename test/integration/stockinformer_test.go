package integration

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/test/framework/annex"
)

// heard collects the warnings that a client gets.
type heard struct {
	mu   sync.Mutex
	said []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (h *heard) HandleWarningHeader(_ int, _, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, text)
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.said...)
}

// An operator that is not made for many workspaces is told so, where it looks: in the log of its client, and where it tries to send an Event.
func TestStockInformer_IsToldWhatToUse(t *testing.T) {
	c := newClaiming(t, claim("", "events", anyVerb, ""))
	for range 2 {
		k := c.consumer(accept("", "events", anyVerb, "matchAll: true"))
		k.widget(t, "same", 1)
	}
	listening := func(target string) (*rest.Config, *heard) {
		h := &heard{}
		config := c.config(target)
		config.WarningHandler = h
		return config, h
	}

	config, stock := listening("*")
	_, dynamic := annex.Clients(t, config)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(dynamic, 0)
	informer := factory.ForResource(widgets).Informer()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("the informer has nothing")
	}
	// This is what it is told about.
	if n := len(informer.GetStore().List()); n != 1 {
		t.Errorf("a stock informer has %d objects of equal names", n)
	}
	eventually(t, "the operator is warned", func(context.Context) (bool, error) { return len(stock.all()) > 0, nil })
	if said := stock.all(); len(said) != 1 || said[0] != serve.Advice {
		t.Errorf("it is warned with %q", said)
	}

	typed, _ := annex.Clients(t, config)
	_, err := typed.EventsV1().Events("default").Create(t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "made-"}, EventTime: metav1.NewMicroTime(time.Now()), Type: corev1.EventTypeNormal, Reason: "Made", Action: "Make",
		ReportingController: "operator", ReportingInstance: "operator-1", Regarding: corev1.ObjectReference{Kind: "Widget", Namespace: "default", Name: "same"},
	}, metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), serve.Advice) {
		t.Errorf("the Event is answered with %v", err)
	}
	if _, err := typed.EventsV1().Events("default").Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), serve.Advice) {
		t.Errorf("reading one object is answered with %v", err)
	}

	// Those who do it right hear nothing: our client, a client of one workspace, and people who look.
	config, ours := listening("*")
	right, err := remote.New(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	if err := right.Watch(watching, schema.GroupResource{Group: "example.com", Resource: "widgets"}, func(event client.Event) {
		if event.Type == client.Added {
			found++
		}
		if event.Type == client.Synced {
			time.AfterFunc(200*time.Millisecond, stop) // the watch that follows has begun by then
		}
	}); err == nil || found != 2 {
		t.Errorf("our client finds %d objects, %v", found, err)
	}
	if said := ours.all(); len(said) > 0 {
		t.Errorf("our client is warned with %q", said)
	}
	shown, stderr, err := c.s.TryKubectl(c.path, "", "get", "widgets", "-A", "--server", c.config("*").Host)
	if err != nil || strings.Count(shown, "same") != 2 || stderr != "" {
		t.Errorf("kubectl prints %q and %q, %v", shown, stderr, err)
	}
}
