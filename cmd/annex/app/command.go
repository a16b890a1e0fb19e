package app

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/annex-dev/annex/server"
)

// version is set when the binary is linked.
var version = "unknown"

// NewCommand returns the command line of the binary.
func NewCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "annex",
		Short:         "Workspaces for Kubernetes: a complete API for every team, without a control plane for each team",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w (`%s --help` lists the flags)", err, command.CommandPath())
	})
	root.AddCommand(newServeCommand(), newCheckCommand(), newKubeconfigCommand(), newSyncCommand(), newInitCommand(), newVersionCommand())
	return root
}

func newServeCommand() *cobra.Command {
	options := NewOptions()
	logging := logsapi.NewLoggingConfiguration()
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. Without flags, it stores its data in an embedded etcd under .annex, listens on port 6443,\n" +
			"and writes .annex/admin.kubeconfig.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			logs.InitLogs()
			defer logs.FlushLogs()
			streams := &logsapi.LoggingOptions{ErrorStream: command.ErrOrStderr(), InfoStream: command.ErrOrStderr()}
			if logging.Verbosity == 0 && logging.Format == logsapi.DefaultLogFormat {
				streams.ErrorStream = quiet{streams.ErrorStream}
				silenceGRPC()
			}
			if err := logsapi.ValidateAndApplyWithOptions(logging, streams, nil); err != nil {
				return fmt.Errorf("reading the logging flags: %w", err)
			}
			logSparsely()
			ctx := command.Context()
			if err := options.Complete(); err != nil {
				return err
			}
			if err := options.Validate(); err != nil {
				return err
			}
			server, err := New(ctx, options)
			if err != nil {
				return err
			}
			return server.Run(ctx, command.OutOrStdout())
		},
	}
	var sets flag.NamedFlagSets
	options.AddFlags(&sets)
	logsapi.AddFlags(logging, sets.FlagSet("logs"))
	for _, name := range sets.Order {
		command.Flags().AddFlagSet(sets.FlagSets[name])
	}
	return command
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of the binary and of the Kubernetes API that it serves",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			info := server.Version()
			_, err := fmt.Fprintf(command.OutOrStdout(), "annex %s\nkubernetes %s\n%s %s\n", version, info.GitVersion, info.GoVersion, info.Platform)
			return err
		},
	}
}

// silenceGRPC stops the log of gRPC, which names every attempt to reach etcd. Code that fails without etcd reports that itself.
func silenceGRPC() { grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) }

// quiet drops the info messages of the libraries and passes on warnings and errors. The text logger writes each message in one
// call, and its first byte is the letter of the severity.
type quiet struct{ io.Writer }

// Write implements io.Writer.
func (q quiet) Write(message []byte) (int, error) {
	if len(message) > 0 && message[0] == 'I' {
		return len(message), nil
	}
	return q.Writer.Write(message)
}
