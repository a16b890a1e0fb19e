package app

import (
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// A verb that requests do not have is likely to be misspelled: the server only says that nobody may do it.
func TestWarnOfVerb(t *testing.T) {
	for verb, want := range map[string]string{
		"create": "", "*": "", "deletecollection": "", "inherit": "", "impersonate:user-info": "", "impersonate-on:user-info:get": "",
		"craete": "Warning: requests for resources do not have the verb \"craete\"; did you mean \"create\"?\n",
		"read":   "Warning: requests for resources do not have the verb \"read\"; there are \"get\", \"list\", \"watch\", \"create\", \"update\" and 15 more\n",
	} {
		streams, _, _, errs := genericiooptions.NewTestIOStreams()
		c := &common{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true)}
		if c.warnOfVerb(verb); errs.String() != want {
			t.Errorf("%s: %q, want %q", verb, errs, want)
		}
	}
}
