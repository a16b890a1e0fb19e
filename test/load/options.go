package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

type options struct {
	kubeconfig        string
	context           string
	privilegedContext string
	pid               int
	metrics           bool

	serverBinary string
	serverArgs   []string
	securePort   int

	plainKubeconfig string
	startPlain      bool

	figures         []string
	workspaces      int
	boundWorkspaces int
	clients         int
	objects         int
	rounds          int
	samples         int
	workspaceType   string
	quietRequests   int
	hostWatches     int
	floodClients    int
	scaleSteps      []int
	churnWorkspaces int
	dependents      int
	watchers        int
	policies        int
	definitions     int
	// in how many workspaces there are so many definitions
	definitionWorkspaces int
	// what the operator figure makes, and how many writes a second it makes for how long
	operatorConsumers, operatorObjects, operatorWrites, operatorBusyWrites int
	operatorTime                                                           time.Duration
	evolutionConsumers, evolutionObjects                                   int
	floods                                                                 []string
	attacks                                                                []string
	attackTime                                                             time.Duration
	attackSize                                                             float64
	settle                                                                 time.Duration
	timeout                                                                time.Duration
	keep                                                                   bool
}

// parseOptions returns pflag.ErrHelp after it has printed the help.
func parseOptions(args []string) (options, error) {
	var o options
	fs := pflag.NewFlagSet("load", pflag.ContinueOnError)
	fs.SortFlags = false
	o.addFlags(fs)
	if err := fs.Parse(args); err != nil {
		return o, fmt.Errorf("reading the command line: %w", err)
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("reading the command line: unexpected argument %q", fs.Arg(0))
	}
	return o, errors.Join(o.validate()...)
}

func (o *options) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of a running server to measure")
	fs.StringVar(&o.context, "context", "base", "context of a user who may do everything below root; its server URL names no workspace")
	fs.StringVar(&o.privilegedContext, "privileged-context", "shard-base", "context of system:masters, for metrics and the provider's view; --context is taken when the kubeconfig lacks it")
	fs.IntVar(&o.pid, "pid", 0, "process id of the running server, for memory figures")
	fs.BoolVar(&o.metrics, "metrics", false, "read goroutines and series from /metrics of the running server")

	fs.StringVar(&o.serverBinary, "server-binary", "", "start this server in a new directory, instead of --kubeconfig, --pid and --metrics")
	fs.StringArrayVar(&o.serverArgs, "server-arg", nil, "further argument for the server that is started; may be repeated")
	fs.IntVar(&o.securePort, "secure-port", 0, "port of the server that is started; 0 takes a free one")

	fs.StringVar(&o.plainKubeconfig, "plain-kubeconfig", "", "kubeconfig of a plain kube-apiserver to compare with")
	fs.BoolVar(&o.startPlain, "start-plain", false, "start bin/kube-apiserver with an embedded etcd, instead of --plain-kubeconfig")

	fs.StringSliceVar(&o.figures, "figures", nil, "figures to measure, of "+strings.Join(figureNames(), ",")+"; all that the other flags allow by default, except gc, policies, definitions, evolution, sharing, initializer, scale and churn")
	fs.IntVar(&o.workspaces, "workspaces", 1000, "empty workspaces under root (N)")
	fs.IntVar(&o.boundWorkspaces, "bound-workspaces", 0, "workspaces with a binding and an object; as many as --workspaces by default")
	fs.IntVar(&o.clients, "clients", 16, "clients at a time, each with a connection of its own (C)")
	fs.IntVar(&o.objects, "objects", 2000, "objects for each server and round of the crud, custom, quota, webhook, policy and policies figures")
	fs.IntVar(&o.rounds, "rounds", 3, "rounds of these figures, and of the watch figure, which take turns between the servers")
	fs.IntVar(&o.samples, "samples", 100, "repetitions of the one-at-a-time figures, bind, provider-watch and, for each round, watch")
	fs.IntVar(&o.watchers, "watchers", 100, "watches of one object on each server in the watch figure")
	fs.IntVar(&o.policies, "policies", 1000, "workspaces with a policy each in the policies figure")
	fs.IntVar(&o.definitions, "definitions", 20, "CRDs in each workspace of the definitions figure")
	fs.IntVar(&o.definitionWorkspaces, "definition-workspaces", 500, "workspaces of the definitions figure")
	fs.IntVar(&o.operatorConsumers, "operator-consumers", 2000, "consumers of the operator figure")
	fs.IntVar(&o.operatorObjects, "operator-objects", 10_000, "objects of 1 KiB that these consumers have together")
	fs.IntVar(&o.operatorWrites, "operator-writes", 200, "writes a second of these consumers together")
	fs.IntVar(&o.operatorBusyWrites, "operator-busy-writes", 500, "writes a second of a consumer that delays the others")
	fs.DurationVar(&o.operatorTime, "operator-time", 30*time.Second, "how long the operator figure writes, for each of its parts")
	fs.IntVar(&o.evolutionConsumers, "evolution-consumers", 2000, "consumers of the evolution figure")
	fs.IntVar(&o.evolutionObjects, "evolution-objects", 20_000, "objects of 1 KiB that these consumers have together")
	fs.IntVar(&o.quietRequests, "quiet-requests", 500, "requests of each kind and round in the fairness figure, alone and beside a flood, and in the host figure")
	fs.IntVar(&o.hostWatches, "host-watches", 10000, "watches that the host-watches figure opens")
	fs.IntSliceVar(&o.scaleSteps, "scale-steps", []int{1000, 10_000, 100_000}, "numbers of workspaces at which the scale figure looks at the server")
	fs.IntVar(&o.dependents, "dependents", 10_000, "dependents that the gc figure makes for one owner")
	fs.IntVar(&o.churnWorkspaces, "churn-workspaces", 3000, "workspaces that the churn figure makes, uses and deletes")
	fs.IntVar(&o.floodClients, "flood-clients", 200, "clients of a flood")
	fs.StringSliceVar(&o.floods, "floods", []string{floodCreates, floodLists, floodMix, floodRefused}, "floods of the fairness figure")
	fs.StringSliceVar(&o.attacks, "attacks", attackNames(), "attacks of the hostile figure")
	fs.DurationVar(&o.attackTime, "attack-time", 20*time.Second, "limit for each attack")
	fs.Float64Var(&o.attackSize, "attack-size", 1, "size of the attacks, as a part of their full size")
	fs.StringVar(&o.workspaceType, "workspace-type", "root:universal", "type of the workspaces, as path:name")
	fs.DurationVar(&o.settle, "settle", time.Minute, "rest before memory is read")
	fs.DurationVar(&o.timeout, "timeout", 15*time.Minute, "limit for each figure")
	fs.BoolVar(&o.keep, "keep", false, "leave the workspaces behind")
}

// validate returns all faults and fills in what depends on other flags.
func (o *options) validate() []error {
	var faults []error
	for name, value := range map[string]int{
		"workspaces": o.workspaces, "clients": o.clients, "objects": o.objects, "rounds": o.rounds, "samples": o.samples,
		"quiet-requests": o.quietRequests, "host-watches": o.hostWatches, "flood-clients": o.floodClients, "dependents": o.dependents,
		"operator-objects": o.operatorObjects, "operator-writes": o.operatorWrites, "operator-busy-writes": o.operatorBusyWrites,
		"watchers": o.watchers, "policies": o.policies, "definitions": o.definitions, "definition-workspaces": o.definitionWorkspaces,
	} {
		if value < 1 {
			faults = append(faults, fmt.Errorf("--%s must be at least 1", name))
		}
	}
	if o.churnWorkspaces < churnPoints {
		faults = append(faults, fmt.Errorf("--churn-workspaces must be at least %d", churnPoints))
	}
	if o.operatorConsumers < 2 || o.operatorTime < time.Second {
		faults = append(faults, errors.New("--operator-consumers must be at least 2, and --operator-time at least a second"))
	}
	if o.evolutionConsumers < badEvery || o.evolutionObjects < o.evolutionConsumers {
		faults = append(faults, fmt.Errorf("--evolution-consumers must be at least %d, and --evolution-objects at least as many", badEvery))
	}
	if len(o.scaleSteps) == 0 {
		faults = append(faults, errors.New("--scale-steps must not be empty"))
	}
	before := 0
	for _, step := range o.scaleSteps {
		if step-before < len(firstRequests) {
			faults = append(faults, fmt.Errorf("--scale-steps: %d must be at least %d more than %d", step, len(firstRequests), before))
		}
		before = step
	}
	for _, kind := range o.floods {
		if !slices.Contains([]string{floodCreates, floodLists, floodMix, floodRefused}, kind) {
			faults = append(faults, fmt.Errorf("--floods: unknown %q", kind))
		}
	}
	for _, name := range o.attacks {
		if !slices.Contains(attackNames(), name) {
			faults = append(faults, fmt.Errorf("--attacks: unknown %q", name))
		}
	}
	if o.attackTime <= 0 || o.attackSize <= 0 {
		faults = append(faults, errors.New("--attack-time and --attack-size must be positive"))
	}
	if o.boundWorkspaces < 0 {
		faults = append(faults, errors.New("--bound-workspaces must not be negative"))
	}
	if o.boundWorkspaces == 0 {
		o.boundWorkspaces = o.workspaces
	}
	if o.settle < 0 || o.timeout <= 0 {
		faults = append(faults, errors.New("--settle must not be negative, and --timeout must be positive"))
	}
	if _, _, ok := splitType(o.workspaceType); !ok {
		faults = append(faults, fmt.Errorf("--workspace-type %q must look like root:universal", o.workspaceType))
	}
	if o.serverBinary != "" && (o.kubeconfig != "" || o.pid != 0) {
		faults = append(faults, errors.New("--server-binary excludes --kubeconfig and --pid"))
	}
	if o.startPlain && o.plainKubeconfig != "" {
		faults = append(faults, errors.New("--start-plain excludes --plain-kubeconfig"))
	}
	if !o.hasServer() && !o.hasPlain() {
		faults = append(faults, errors.New("nothing to measure: set --kubeconfig, --server-binary, --plain-kubeconfig or --start-plain"))
	}
	return faults
}

func (o *options) hasServer() bool  { return o.kubeconfig != "" || o.serverBinary != "" }
func (o *options) hasPlain() bool   { return o.plainKubeconfig != "" || o.startPlain }
func (o *options) hasProcess() bool { return o.pid != 0 || o.serverBinary != "" }
func (o *options) hasMetrics() bool { return o.hasServer() && (o.metrics || o.serverBinary != "") }

// splitType splits "root:org:team-type" into path "root:org" and the name.
func splitType(s string) (path, name string, ok bool) {
	i := strings.LastIndex(s, ":")
	if i < 1 || i == len(s)-1 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}
