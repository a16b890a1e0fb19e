package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/operator"
)

// operateCommand makes the program the operator of a provider, which does nothing but note when it reconciles what.
const operateCommand = "operate"

// What an operator is asked.
const (
	askSynced  = "synced"  // has it all that there is?
	askMissing = "missing" // which of these objects does its cache lack?
	askBegin   = "begin"   // forget what was noted
	askTake    = "take"    // what was noted since then
)

// operating is what the process reads first from its standard input.
type operating struct {
	Host, Token, Slice string
	CA                 []byte
}

// question is what it reads then.
type question struct {
	Ask string
	// Objects are names of objects by cluster, for askMissing; any one of them for askSynced.
	Objects map[string][]string
	// Busy is a cluster whose writes are only counted.
	Busy string
}

// answer is what it prints for each question.
type answer struct {
	Fault   string
	Missing int
	// Latencies are from the time in an object to its reconcile.
	Latencies latencies
	Busy      int
}

// reconciled is what an operator notes.
type reconciled struct {
	mu    sync.Mutex
	since time.Time
	busy  logicalcluster.Name
	taken answer
}

// runOperator is the process.
func runOperator(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(in)
	var o operating
	if err := decoder.Decode(&o); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	ctrllog.SetLogger(logr.Discard())
	m, err := operator.New(&rest.Config{Host: o.Host, BearerToken: o.Token, TLSClientConfig: rest.TLSClientConfig{CAData: o.CA}}, operator.Options{
		EndpointSlice: o.Slice,
		Options:       manager.Options{Scheme: newOperatorScheme(), Metrics: metricsserver.Options{BindAddress: "0"}},
	})
	if err != nil {
		return err
	}
	r := &reconciled{}
	if err := operator.ControllerManagedBy(m).For(&widget{}).Complete(operator.Func(func(ctx context.Context, request operator.Request) (reconcile.Result, error) {
		now, w := time.Now(), &widget{}
		if err := m.In(request.ClusterName).Get(ctx, request.NamespacedName, w); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		r.note(request.ClusterName, w.writtenAt(), now)
		return reconcile.Result{}, nil
	})); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	err = answerAll(ctx, decoder, json.NewEncoder(out), m, r)
	cancel()
	return errors.Join(err, <-ended)
}

// answerAll ends with the questions.
func answerAll(ctx context.Context, questions *json.Decoder, answers *json.Encoder, m *operator.Manager, r *reconciled) error {
	for {
		var q question
		err := questions.Decode(&q)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		var a answer
		switch q.Ask {
		case askSynced, askMissing:
			if a.Missing, err = missing(ctx, m, q.Objects); err != nil {
				a.Fault = err.Error()
			}
		case askBegin:
			r.begin(logicalcluster.Name(q.Busy))
		case askTake:
			a = r.take()
		default:
			a.Fault = fmt.Sprintf("nobody knows what %q means", q.Ask)
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
}

// missing returns how many of the objects the cache lacks, once it has what there was at the start.
func missing(ctx context.Context, m *operator.Manager, objects map[string][]string) (int, error) {
	n := 0
	for cluster, names := range objects {
		in := m.In(logicalcluster.Name(cluster))
		for _, name := range names {
			err := in.Get(ctx, client.ObjectKey{Name: name}, &widget{})
			if client.IgnoreNotFound(err) != nil {
				return n, err
			}
			if err != nil {
				n++
			}
		}
	}
	return n, nil
}

// note notes the reconcile of an object that was written at a time.
func (r *reconciled) note(cluster logicalcluster.Name, written, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.since.IsZero() || written.Before(r.since):
	case cluster == r.busy:
		r.taken.Busy++
	default:
		r.taken.Latencies = append(r.taken.Latencies, now.Sub(written))
	}
}

func (r *reconciled) begin(busy logicalcluster.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.busy, r.taken = time.Now(), busy, answer{}
}

func (r *reconciled) take() answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// stamp returns the merge patch that writes a time into an object.
func stamp(at time.Time) []byte { return fmt.Appendf(nil, `{"spec":{"size":%d}}`, at.UnixNano()) }
