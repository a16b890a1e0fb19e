package examples

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

const (
	secretsClaim = `group: "", resource: secrets, verbs: ["*"], selector: {matchAll: true}`
	ownSecrets   = `group: "", resource: secrets, verbs: ["*"], selector: {matchLabels: {app.kubernetes.io/managed-by: database-operator}}`
	eventsClaim  = `group: "", resource: events, verbs: ["*"], selector: {matchAll: true}`
	// grace is how long a previous password is valid in these tests: longer than a look at it takes on a busy machine.
	grace = 15 * time.Second
)

// operateDatabases runs the database operator.
func operateDatabases(t *testing.T, args ...string) *operator {
	t.Helper()
	postgres := needsPostgres(t)
	offer(t, "database-operator")
	t.Setenv("POSTGRESQL_URI", postgres.URI("database_operator", world.password))
	return operate(t, "database-operator", append([]string{"--leader-elect=false", "--grace-period", grace.String()}, args...)...)
}

func database(name, spec string) string {
	return "apiVersion: postgresql.example.com/v1\nkind: Database\nmetadata: {name: " + name + ", namespace: default}\nspec: {" + spec + "}\n"
}

// login is what a Secret says.
type login struct{ database, username, password, uri string }

func loginOf(secret *corev1.Secret) login {
	d := secret.Data
	return login{string(d["database"]), string(d["username"]), string(d["password"]), string(d["uri"])}
}

// check is an error unless a program can log in and work as the owner of the database.
func (l login) check() error {
	got, err := world.postgres.As(l.database, l.username, l.password, "SELECT current_user")
	if err == nil && got != l.database {
		err = fmt.Errorf("%s works as %s", l.username, got)
	}
	return err
}

// sql runs SQL with a login and fails the test if that fails.
func (l login) sql(t *testing.T, statement string) string {
	t.Helper()
	out, err := world.postgres.As(l.database, l.username, l.password, statement)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// works waits until the Secret of a Database has what a program needs to log in, if other is not empty another username than that.
func (c *consumer) works(name, other string) login {
	c.t.Helper()
	var l login
	eventually(c.t, func(ctx context.Context) error {
		secret, err := c.typed.CoreV1().Secrets("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if l = loginOf(secret); l.username == other {
			return fmt.Errorf("the Secret %s has the login %s still", name, other)
		}
		return l.check()
	})
	return l
}

func (c *consumer) deleteDatabase(name string) {
	c.t.Helper()
	if err := c.Resource(databases).Namespace("default").Delete(c.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		c.t.Fatal(err)
	}
	c.gone(databases, name)
}

// closed waits until a login is refused.
func closed(t *testing.T, l login) {
	t.Helper()
	eventually(t, func(context.Context) error {
		if err := l.check(); err == nil {
			return errors.New(l.username + " can still log in")
		}
		return nil
	})
}

// named returns what there is in PostgreSQL for a Database: the names of databases and roles.
func named(t *testing.T, prefix string) []string {
	t.Helper()
	return world.postgres.Ask(t, "SELECT datname FROM pg_database WHERE starts_with(datname, '"+prefix+"') UNION ALL SELECT rolname FROM pg_roles WHERE starts_with(rolname, '"+prefix+"') ORDER BY 1")
}

func TestDatabase_FromCreationToDeletion(t *testing.T) {
	operateDatabases(t)
	one, two := newConsumer(t, "database-one"), newConsumer(t, "database-two")
	one.bind("databases", "Accepted", secretsClaim, eventsClaim)
	two.bind("databases", "Accepted", ownSecrets, eventsClaim)
	one.create(databases, database("orders", ""))
	two.create(databases, database("orders", "connectionLimit: 3"))

	// Two Databases of one name are two databases, and nobody gets into that of somebody else.
	found := one.says(databases, "orders", "Ready", "True", "Available")
	two.says(databases, "orders", "Ready", "True", "Available")
	first, other := one.works("orders", ""), two.works("orders", "")
	if name, _, _ := unstructured.NestedString(found.Object, "status", "database"); name != first.database || first.database == other.database {
		t.Fatalf("the databases are %s and %s, the status says %s", first.database, other.database, name)
	}
	if got := loginOf(two.secret("orders")).uri; !strings.Contains(got, world.postgres.Address()+"/"+other.database) {
		t.Errorf("the URI is %s", got)
	}
	one.told("orders", "Available")
	first.sql(t, "CREATE TABLE orders (id int); INSERT INTO orders VALUES (7)")
	for _, elsewhere := range []string{other.database, "postgres", "template1"} {
		if _, err := world.postgres.As(elsewhere, first.username, first.password, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("one tenant in %s: %v", elsewhere, err)
		}
	}
	for _, statement := range []string{"CREATE DATABASE mine", "CREATE ROLE mine", "SELECT * FROM pg_authid", "ALTER ROLE " + first.username + " CONNECTION LIMIT 99", "DROP DATABASE " + other.database} {
		if _, err := world.postgres.As(first.database, first.username, first.password, statement); err == nil {
			t.Errorf("a tenant may %s", statement)
		}
	}
	if limit := world.postgres.Ask(t, "SELECT rolconnlimit FROM pg_roles WHERE rolname = '"+other.username+"'"); !slices.Equal(limit, []string{"3"}) {
		t.Errorf("the connection limit is %v, want 3", limit)
	}

	t.Run("a new password", func(t *testing.T) {
		one := enter(t, one.path, one.cluster)
		patch := []byte(`{"metadata":{"annotations":{"postgresql.example.com/rotate":"now; DROP TABLE orders"}}}`)
		if _, err := one.Resource(databases).Namespace("default").Patch(t.Context(), "orders", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		second := one.works("orders", first.username)
		if err := first.check(); err != nil {
			t.Errorf("the previous password: %v", err)
		}
		if got := second.sql(t, "SELECT id FROM orders"); got != "7" {
			t.Errorf("with the new password there is %q", got)
		}
		second.sql(t, "INSERT INTO orders VALUES (8)") // of a table that the other login made
		closed(t, first)
		if err := second.check(); err != nil {
			t.Error(err)
		}
		if again := loginOf(one.secret("orders")); again != second {
			t.Errorf("the password has changed again: %v", again)
		}
	})

	t.Run("a Secret that is changed or deleted", func(t *testing.T) {
		one := enter(t, one.path, one.cluster)
		before := loginOf(one.secret("orders"))
		secret := one.secret("orders")
		secret.Data["password"] = []byte("weak")
		if _, err := one.typed.CoreV1().Secrets("default").Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		mended := one.works("orders", before.username)
		if weak := (login{before.database, before.username, "weak", ""}); weak.check() == nil {
			t.Error("a consumer chooses passwords")
		}
		if err := one.typed.CoreV1().Secrets("default").Delete(t.Context(), "orders", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if again := one.works("orders", ""); again.password == mended.password {
			t.Error("a password that was deleted is valid still")
		}
		// A tenant may change the password of its own role.
		last := one.works("orders", "")
		last.sql(t, "SET ROLE NONE; ALTER ROLE "+last.username+" PASSWORD 'mine'")
		// Nothing tells the operator of what happens in PostgreSQL.
		if _, err := one.Resource(databases).Namespace("default").Patch(t.Context(), "orders", types.MergePatchType, []byte(`{"spec":{"connectionLimit":7}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		one.works("orders", last.username)
	})

	t.Run("a tenant that stands in the way", func(t *testing.T) {
		one, two := enter(t, one.path, one.cluster), enter(t, two.path, two.cluster)
		attacker := one.works("orders", "")
		attacker.sql(t, "CREATE TABLE bait (id int); GRANT ALL ON bait TO "+other.database+", "+other.username+
			"; GRANT CONNECT ON DATABASE "+attacker.database+" TO "+other.database+
			"; ALTER DATABASE "+attacker.database+" SET default_transaction_read_only = on"+
			"; ALTER DATABASE "+attacker.database+" CONNECTION LIMIT 0")
		two.deleteDatabase("orders")
		if left := named(t, other.database); len(left) > 0 {
			t.Errorf("after the deletion there are %v", left)
		}
		if _, err := two.typed.CoreV1().Secrets("default").Get(t.Context(), "orders", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the Secret after the deletion: %v", err)
		}
	})

	// A workspace that is deleted takes its databases along.
	leave(t, one)
	if left := named(t, first.database); len(left) > 0 {
		t.Errorf("after its workspace was deleted, there are %v", left)
	}
}

func TestDatabase_KeepsDataIfAsked(t *testing.T) {
	operateDatabases(t)
	c := newConsumer(t, "database-keeps")
	c.bind("databases", "Accepted", ownSecrets, eventsClaim)
	c.create(databases, database("kept", "deletionPolicy: Retain"))
	before := c.works("kept", "")
	before.sql(t, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (42)")
	c.deleteDatabase("kept")
	closed(t, before)
	c.create(databases, database("kept", ""))
	if got := c.works("kept", "").sql(t, "SELECT id FROM kept"); got != "42" {
		t.Errorf("what was kept is %q", got)
	}
	leave(t, c)
}

// Whatever a consumer may do wrong is said in the condition, for the consumer to mend.
func TestDatabase_SaysWhatIsWrong(t *testing.T) {
	operateDatabases(t)
	c := newConsumer(t, "database-wrong")
	c.bind("databases", "Rejected", ownSecrets, eventsClaim)
	c.create(databases, database("main", ""))
	found := c.says(databases, "main", "Ready", "False", "ClaimRejected")
	if name, _, _ := unstructured.NestedString(found.Object, "status", "database"); name != "" {
		t.Errorf("there is a database %s that nobody can log in to", name)
	}
	accept := []byte(`[{"op":"replace","path":"/spec/permissionClaims/0/state","value":"Accepted"},{"op":"replace","path":"/spec/permissionClaims/1/state","value":"Accepted"}]`)
	if _, err := c.Resource(bindings).Patch(t.Context(), "databases", types.JSONPatchType, accept, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	c.says(databases, "main", "Ready", "True", "Available")
	c.works("main", "")

	// A Secret of somebody else is not written, whether the claim shows it or not.
	for name, labels := range map[string]map[string]string{"hidden": nil, "shown": {"app.kubernetes.io/managed-by": "database-operator"}} {
		own := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, StringData: map[string]string{"token": "precious"}}
		if _, err := c.typed.CoreV1().Secrets("default").Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		c.create(databases, database(name, ""))
		c.says(databases, name, "Ready", "False", "SecretConflict")
		c.told(name, "SecretConflict")
		if got := c.secret(name).Data; len(got) != 1 || string(got["token"]) != "precious" {
			t.Errorf("the Secret %s is %v", name, got)
		}
	}
	if err := c.typed.CoreV1().Secrets("default").Delete(t.Context(), "shown", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.works("shown", "")

	for spec, field := range map[string]string{
		"deletionPolicy: Keep": "deletionPolicy", "connectionLimit: 0": "connectionLimit", "rotationInterval: 10s": "rotationInterval", "rotationInterval: 1 day": "rotationInterval", "password: x": "password",
	} {
		_, err := c.Resource(databases).Namespace("default").Create(t.Context(), parse(t, database("bad", spec)), metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		if err == nil || !strings.Contains(err.Error(), "spec."+field) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	leave(t, c)
}
