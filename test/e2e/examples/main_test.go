package examples

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
	"github.com/annex-dev/annex/test/framework/postgresql"
)

const (
	startTimeout = 5 * time.Minute
	sources      = "../../../examples/"
	// provider is the path of the workspace that offers all APIs.
	provider = "root:provider"
)

// operators are the programs. Each is a user of its own.
var operators = []string{"database-operator", "route-operator", "composition", "initializer"}

// world is for all tests of the package, which run one after the other.
var world struct {
	dir      string
	server   *annex.Server
	postgres *postgresql.Server // nil if this machine cannot have one
	password string             // of the role database_operator
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	defer func() {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err := start(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(ctx context.Context) (err error) {
	if world.dir, err = os.MkdirTemp("", "annex-examples"); err != nil {
		return err
	}
	world.password = "o'p\"erator $1" // nothing that is put into SQL may break it
	world.postgres, err = postgresql.Run(ctx)
	switch {
	case errors.Is(err, postgresql.ErrNone):
		world.postgres = nil
	case err != nil:
		return err
	default:
		if err := world.postgres.Script(ctx, sources+"database-operator/postgresql.sql", "password="+world.password); err != nil {
			return err
		}
	}
	tokens := ""
	for _, user := range operators {
		tokens += tokenOf(user) + "," + user + "," + user + "\n"
	}
	file := filepath.Join(world.dir, "tokens.csv")
	if err := os.WriteFile(file, []byte(tokens), 0o600); err != nil {
		return err
	}
	port, err := process.FreePort(ctx)
	if err != nil {
		return err
	}
	world.server, err = annex.Launch(ctx, filepath.Join(world.dir, "annex"), "--token-auth-file", file, "--secure-port", fmt.Sprint(port))
	return err
}

func stop() error {
	if world.server != nil {
		world.server.Kill()
	}
	var err error
	if world.postgres != nil {
		err = world.postgres.Close()
	}
	return errors.Join(err, os.RemoveAll(world.dir))
}

func tokenOf(user string) string { return "token-of-" + user }

// needsPostgres skips a test on a machine that cannot have PostgreSQL.
func needsPostgres(t *testing.T) *postgresql.Server {
	t.Helper()
	if world.postgres == nil {
		t.Skip(postgresql.ErrNone)
	}
	return world.postgres
}
