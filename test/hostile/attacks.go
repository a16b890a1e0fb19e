package hostile

import "context"

// Attack is one way to harm a server.
type Attack struct {
	Name string
	// Few is how much of it a test does, Many how much a figure does. What is counted depends on the attack. Many is 0 if it is
	// about no figure.
	Few, Many int
	// Defines says that the harm is in the time that another tenant's CustomResourceDefinition takes until it is served.
	Defines bool
	// prepare makes what n of the attack need, and returns the attack. The attack returns an error if the server does what it
	// must not, and nil if its context ends before.
	prepare func(ctx context.Context, s *Scene, n int) (strike func(context.Context) error, err error)
}

// Prepare makes what the attack needs in a scene. strike returns an error if the server does what it must not, and nil if its
// context ends before.
func (a Attack) Prepare(ctx context.Context, s *Scene, n int) (strike func(context.Context) error, err error) {
	return a.prepare(ctx, s, n)
}

// Attacks returns all attacks.
func Attacks() []Attack {
	return []Attack{
		// What takes time or memory.
		{Name: "patterns", Few: 20, Many: 4000, prepare: preparePatterns},
		{Name: "rules", Few: 20, Many: 4000, prepare: prepareRules},
		{Name: "defaults", Few: 2, Many: 200, prepare: prepareDefaults},
		{Name: "large-definitions", Few: 1, Many: 12, prepare: prepareLargeDefinitions},
		{Name: "documents", Few: 10, Many: 620, prepare: prepareDocuments},
		{Name: "kinds", Few: 5, Many: 500, prepare: prepareKinds},
		{Name: "definitions", Few: 20, Many: 500, Defines: true, prepare: prepareDefinitions},
		{Name: "bindings", Few: 10, Many: 250, Defines: true, prepare: prepareBindings},
		{Name: "watches", Few: 50, Many: 3000, prepare: prepareWatches},
		{Name: "refusals-beside-rolebindings", Few: 50, Many: 5000, prepare: prepareRoleBindings},
		{Name: "refusals", Few: 100, Many: 40000, prepare: prepareRefusals},
		{Name: "anonymous", Few: 6000, Many: 6000, prepare: prepareAnonymous},
		{Name: "children", Few: 4, Many: 40, prepare: prepareChildren},
		{Name: "fill", Few: 30, Many: 3000, prepare: prepareFill},
		{Name: "bombs", Few: 1, Many: 300, prepare: prepareBombs},

		// What tries to get more than is allowed.
		{Name: "escalation", Few: 1, prepare: prepareEscalation},
		{Name: "forged-fields", Few: 1, prepare: prepareForgedFields},
		{Name: "hidden-types", Few: 1, prepare: prepareHiddenTypes},
		{Name: "addresses", Few: 1, prepare: prepareAddresses},
		{Name: "identities", Few: 1, prepare: prepareIdentities},
		{Name: "header-injection", Few: 1, prepare: prepareHeaderInjection},
		{Name: "malformed-http", Few: 1, prepare: prepareMalformedHTTP},
	}
}
