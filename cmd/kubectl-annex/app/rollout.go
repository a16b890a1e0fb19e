package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	annexclient "github.com/annex-dev/annex/generated/clientset/versioned/typed/annex/v1alpha1"
)

func newRolloutCommand(c *common) *cobra.Command {
	return newGroup(&cobra.Command{
		Use:   "rollout",
		Short: "Roll out a change of an APIExport in waves",
		Long: "Show and control how consumers of an APIExport of the current workspace get new schemas. An APIExportRollout with the name of the\n" +
			"APIExport says in which waves they do. Create it before you change the APIExport, for example:\n\n" +
			"  kubectl apply -f - <<END\n" +
			"  apiVersion: annex.dev/v1alpha1\n" +
			"  kind: APIExportRollout\n" +
			"  metadata: {name: widgets}\n" +
			"  spec: {waves: [{percentage: 10, pause: {}}]}\n" +
			"  END\n\n" +
			"The next change of the APIExport widgets then starts a rollout: 10 percent of the consumers get it, and the others after 'rollout resume'.\n" +
			"docs/versions.md describes all fields under 'Roll a change out in waves'.",
		Example: c.example(`
  # Look at a rollout, continue after a pause, or return to the previous schemas
  $ rollout status widgets
  $ rollout resume widgets
  $ rollout undo widgets`),
	}, newRolloutStatusCommand(c),
		newRolloutChangeCommand(c, "pause", "Stop before the next consumer", pauseRollout),
		newRolloutChangeCommand(c, "resume", "Continue after a pause", resumeRollout),
		newRolloutChangeCommand(c, "undo", "Return all consumers to the previous schemas", undoRollout))
}

// rolloutsOf returns a client for the rollouts of the current workspace.
func (c *common) rolloutsOf(ctx context.Context) (annexclient.APIExportRolloutInterface, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	url, _, err := s.WorkspaceURL(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := s.Clients(url)
	if err != nil {
		return nil, err
	}
	return clients.AnnexV1alpha1().APIExportRollouts(), nil
}

// readRollout returns the rollout called name. An APIExport has none until somebody creates it.
func readRollout(ctx context.Context, rollouts annexclient.APIExportRolloutInterface, name string) (*annexv1alpha1.APIExportRollout, error) {
	rollout, err := rollouts.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading APIExportRollout %q: %w; without one, consumers of an APIExport get new schemas at once: see 'kubectl annex rollout --help'", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading APIExportRollout %q: %w", name, err)
	}
	return rollout, nil
}

func newRolloutStatusCommand(c *common) *cobra.Command {
	command := &cobra.Command{
		Use:   "status NAME",
		Short: "Show the waves of a rollout, and the consumers that have failed",
		Long: "Show how many consumers of each wave have the new schemas, and which consumers have failed. The command fails if the rollout has\n" +
			"stopped.",
		Example: c.example("\n  $ rollout status widgets"),
		Args:    cobra.ExactArgs(1),
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		rollouts, err := c.rolloutsOf(command.Context())
		if err != nil {
			return err
		}
		rollout, err := readRollout(command.Context(), rollouts, args[0])
		if err != nil {
			return err
		}
		if err := printRollout(c, out, rollout); err != nil {
			return err
		}
		if rollout.Status.Phase == annexv1alpha1.RolloutPhaseStopped {
			return errors.New("the rollout has stopped: " + conditionsv1alpha1.GetMessage(rollout, annexv1alpha1.RolloutProgressing))
		}
		return nil
	}
	c.addWorkspaceFlag(command)
	return command
}

func printRollout(c *common, out *output, rollout *annexv1alpha1.APIExportRollout) error {
	if !out.table() {
		return out.printObjects(c, []runtime.Object{rollout})
	}
	status := &rollout.Status
	fmt.Fprintf(c.Out, "Revision %d: %s. %d of %d consumers have the new schemas.\n", status.Revision, status.Phase, status.Updated, status.Consumers)
	if message := conditionsv1alpha1.GetMessage(rollout, annexv1alpha1.RolloutProgressing); message != "" {
		fmt.Fprintln(c.Out, message)
	}
	for _, res := range status.Resources {
		if res.From != res.To {
			fmt.Fprintf(c.Out, "%s: from %s to %s\n", res.Resource, res.From, res.To)
		}
	}
	fmt.Fprintln(c.Out)
	var rows [][]any
	for i, wave := range status.Waves {
		who, mark := "all others", ""
		if i < len(rollout.Spec.Waves) {
			who = waveText(&rollout.Spec.Waves[i])
		}
		if int(status.Wave) == i+1 {
			mark = "*"
		}
		rows = append(rows, []any{mark, i + 1, who, wave.Consumers, wave.Updated, wave.Failed})
	}
	if err := out.printTable(c, []string{"Now", "Wave", "Of", "Consumers", "Updated", "Failed"}, rows); err != nil {
		return err
	}
	if len(status.Failures) == 0 {
		return nil
	}
	fmt.Fprintln(c.Out)
	rows = nil
	for _, f := range status.Failures {
		rows = append(rows, []any{f.Cluster, f.Binding, f.Reason, f.Message})
	}
	return out.printTable(c, []string{"Failed", "Binding", "Reason", "Message"}, rows)
}

func waveText(wave *annexv1alpha1.RolloutWave) string {
	switch {
	case wave.Percentage != nil:
		return fmt.Sprintf("%d %%", *wave.Percentage)
	case wave.Selector != nil:
		return metav1.FormatLabelSelector(wave.Selector)
	}
	return strings.Join(wave.Clusters, ",")
}

// newRolloutChangeCommand returns a command that changes the spec of a rollout. change returns the fields to set, and what to say.
func newRolloutChangeCommand(c *common, use, short string, change func(*annexv1alpha1.APIExportRollout) (spec map[string]any, said string, err error)) *cobra.Command {
	command := &cobra.Command{
		Use:     use + " NAME",
		Short:   short,
		Example: c.example("\n  $ rollout " + use + " widgets"),
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			ctx := command.Context()
			rollouts, err := c.rolloutsOf(ctx)
			if err != nil {
				return err
			}
			rollout, err := readRollout(ctx, rollouts, args[0])
			if err != nil {
				return err
			}
			spec, said, err := change(rollout)
			if err != nil {
				return err
			}
			patch, err := json.Marshal(map[string]any{"spec": spec})
			if err != nil {
				return fmt.Errorf("encoding the change: %w", err)
			}
			if _, err := rollouts.Patch(ctx, args[0], types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				return fmt.Errorf("changing APIExportRollout %q: %w", args[0], err)
			}
			fmt.Fprintf(c.Out, "apiexportrollout.annex.dev/%s %s\n", args[0], said)
			return nil
		},
	}
	c.addWorkspaceFlag(command)
	return command
}

func pauseRollout(*annexv1alpha1.APIExportRollout) (map[string]any, string, error) {
	return map[string]any{"paused": true}, "paused", nil
}

// resumeRollout ends spec.paused, or the pause after the current wave; the one that is in effect.
func resumeRollout(rollout *annexv1alpha1.APIExportRollout) (map[string]any, string, error) {
	switch {
	case rollout.Spec.Paused:
		return map[string]any{"paused": false}, "resumed", nil
	case conditionsv1alpha1.GetReason(rollout, annexv1alpha1.RolloutProgressing) == annexv1alpha1.RolloutWaitingReason:
		return map[string]any{"resume": annexv1alpha1.RolloutResume{Revision: rollout.Status.Revision, Wave: rollout.Status.Wave}},
			fmt.Sprintf("resumed after wave %d", rollout.Status.Wave), nil
	}
	return nil, "", fmt.Errorf("the rollout is not paused: it is %s", rollout.Status.Phase)
}

func undoRollout(rollout *annexv1alpha1.APIExportRollout) (map[string]any, string, error) {
	for _, res := range rollout.Status.Resources {
		if res.From != res.To {
			return map[string]any{"undo": rollout.Status.Revision}, fmt.Sprintf("undone: consumers return from revision %d", rollout.Status.Revision), nil
		}
	}
	return nil, "", errors.New("there is nothing to undo: consumers have had no other schemas")
}
