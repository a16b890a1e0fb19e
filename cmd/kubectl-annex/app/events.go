package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// eventPage is how many Events one answer holds.
const eventPage = 500

// event is an Event with the workspace that it is in.
type event struct {
	corev1.Event
	path logicalcluster.Path
}

func newEventsCommand(c *common) *cobra.Command {
	var (
		types []string
		limit int
	)
	command := &cobra.Command{
		Use:   "events",
		Short: "Show the Events of the current workspace and all workspaces below",
		Long: "Show the Events of the current workspace and all workspaces below, the latest one last. Workspaces whose Events you may not list are\n" +
			"left out. With --namespace, only Events of that namespace of each workspace are shown; Events about objects without a\n" +
			"namespace, such as APIBindings, are in the namespace default.",
		Example: c.example("\n  $ events\n  $ events --types Warning --workspace :root:org"),
		Args:    cobra.NoArgs,
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		for _, typ := range types {
			if typ != corev1.EventTypeNormal && typ != corev1.EventTypeWarning {
				return fmt.Errorf("--types %s: must be %s or %s", typ, corev1.EventTypeNormal, corev1.EventTypeWarning)
			}
		}
		if limit < 0 {
			return errors.New("--limit: must not be negative")
		}
		ctx, cancel := context.WithCancel(command.Context())
		defer cancel()
		events, errs, err := c.eventsBelow(ctx, types)
		if err != nil {
			return err
		}
		if limit > 0 && len(events) > limit {
			fmt.Fprintf(c.ErrOut, "Note: the %d oldest Events of %d are not shown, because of --limit.\n", len(events)-limit, len(events))
			events = events[len(events)-limit:]
		}
		if err := c.printEvents(out, events); err != nil {
			return err
		}
		return c.unread(errs)
	}
	command.Flags().StringSliceVar(&types, "types", nil, "Only Events of these types: Normal, Warning.")
	command.Flags().IntVar(&limit, "limit", 500, "How many Events to show at most, the latest ones; 0 shows all.")
	c.addWorkspaceFlag(command)
	return command
}

// eventsBelow returns the Events of a subtree, the latest one last.
func (c *common) eventsBelow(ctx context.Context, types []string) ([]event, []error, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	top, err := c.below(ctx, s, tree.Heads)
	if err != nil {
		return nil, nil, err
	}
	d, err := s.Door(ctx)
	if err != nil {
		return nil, nil, err
	}
	line := progress.Start(c.ErrOut, "Reading Events")
	defer line.Stop()
	var (
		mu    sync.Mutex
		found []event
	)
	errs := tree.Each(ctx, top, func(ctx context.Context, n *tree.Node) error {
		events, err := eventsIn(ctx, s, d.WorkspaceURL(n.Path), *c.flags.Namespace, types)
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing the Events in %q: %w", n.Path, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range events {
			found = append(found, event{events[i], n.Path})
		}
		line.Say("%d Events read", len(found))
		return nil
	})
	slices.SortStableFunc(found, func(a, b event) int {
		return cmp.Or(a.last().Compare(b.last()), cmp.Compare(a.path, b.path), cmp.Compare(a.Name, b.Name))
	})
	return found, errs, nil
}

// eventsIn returns the Events in a workspace.
func eventsIn(ctx context.Context, s *session.Session, url, namespace string, types []string) ([]corev1.Event, error) {
	client, err := corev1client.NewForConfig(s.Quiet(url))
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	var all []corev1.Event
	options := metav1.ListOptions{Limit: eventPage}
	for {
		list, err := client.Events(namespace).List(ctx, options)
		if err != nil {
			return nil, err
		}
		for _, e := range list.Items {
			if len(types) == 0 || slices.Contains(types, e.Type) {
				all = append(all, e)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return all, nil
		}
	}
}

// last returns when the Event last happened. Events have their time in one of several fields.
func (e *event) last() time.Time {
	latest := e.CreationTimestamp.Time
	for _, t := range []time.Time{e.FirstTimestamp.Time, e.LastTimestamp.Time, e.EventTime.Time} {
		if t.After(latest) {
			latest = t
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(latest) {
		latest = e.Series.LastObservedTime.Time
	}
	return latest
}

func (c *common) printEvents(out *output, events []event) error {
	if !out.table() {
		var objects []runtime.Object
		for i := range events {
			objects = append(objects, &events[i].Event)
		}
		return out.printObjects(c, objects)
	}
	var rows [][]any
	for i := range events {
		e := &events[i]
		rows = append(rows, []any{
			e.path.String(), e.Namespace, duration.HumanDuration(time.Since(e.last())), e.Type, e.Reason,
			strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name, strings.TrimSpace(e.Message), e.Count, e.Name,
		})
	}
	if len(rows) == 0 {
		c.none("No Events found.")
		return nil
	}
	return out.printTable(c, []string{"Workspace", "Namespace", "Last Seen", "Type", "Reason", "Object", "Message", "+Count", "+Name"}, rows)
}
