# The only entry point: people and .ci/run call these targets. `make` alone prints them.

.DEFAULT_GOAL := help
.PHONY: help demo build static image test test-chart test-cluster load soak compare hostile bench growth burst fuzz lint doc papers figures fmt tree tools \
    nats-server
MAKEFLAGS += --no-print-directory

# What `make tools` installs is found by everything started from here.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

##@ See it

demo: nats-server ## Sign a person up and follow the mail (KEEP=1 leaves it running, MAILBOX=dir keeps the mails)
	@cargo run --locked -p usher -- demo $(if $(KEEP),--keep) $(if $(MAILBOX),--mailbox "$(MAILBOX)")

##@ On Kubernetes (CLUSTER=kind|minikube|current, CONTEXT=name for current; deploy/cluster/settings.sh has the rest)

.PHONY: up down logs trace psql nats mailbox papers-up test-up

up: ## Everything in a cluster of this machine, by kind or minikube: one person signs up, her trace is shown
	@deploy/cluster/cluster.sh up

down: ## Take away what `make up` made
	@deploy/cluster/cluster.sh down

logs: ## What all parts in the cluster say (SERVICE=mailer, SINCE=10m, FOLLOW=0)
	@deploy/cluster/cluster.sh logs

trace: ## A trace of the cluster as text (ID=, a trace's or an account's)
	@deploy/cluster/cluster.sh trace

psql: ## Enter a service's database in the cluster (SERVICE=accounts, SQL='select …')
	@deploy/cluster/cluster.sh psql

nats: ## The broker's streams in the cluster
	@deploy/cluster/cluster.sh nats

mailbox: ## The mails of the cluster (TO=ada@example.com)
	@deploy/cluster/cluster.sh mailbox

papers-up: ## Write README's output of `make up` anew (CHECK=1 compares instead); the cluster is made anew for it
	@deploy/cluster/cluster.sh down >/dev/null
	@mkdir -p target && deploy/cluster/cluster.sh up | tee target/up.txt
	@deploy/cluster/papers.py $(if $(CHECK),check,write) <target/up.txt

test-up: ## Test `make up` without a cluster, with stand-ins for docker, kind, minikube, kubectl and helm
	@deploy/cluster/tests/run $(ARGS)

##@ Work on it

build: ## Build the command usher, as target/debug/usher
	@cargo build --locked -p usher

static: ## Build it optimised, as one static binary that needs nothing else: target/static/usher
	@deploy/static.sh

image: ## Make the container image, and name it by its content (IMAGE=name:tag; PREBUILT=1 builds outside Docker)
	@IMAGE="$(IMAGE)" PREBUILT="$(PREBUILT)" BINARY="$(BINARY)" RUST_IMAGE="$(RUST_IMAGE)" deploy/image.sh

# CI judges what people run: it measures the static binary.
test: nats-server $(if $(CI),static) ## Run every test (ARGS='-p kit' or ARGS=i05_ runs some)
	@deploy/tools/postgres.sh || true
	@deploy/tools/mail-servers.sh || true
	@$(if $(ARGS),,deploy/tools/failpoints.sh >/dev/null)
	@cargo test --locked --no-fail-fast $(ARGS) -- --quiet

test-cluster: ## Try the release on clusters of one and three nodes while people sign up (HELM= KIND_IMAGE= IMAGE= PREBUILT=1; TESTS='test_1*')
	@deploy/cluster-tests/run

load: nats-server ## Measure latencies (RATE= SECONDS= SEED=; DATA=data SINK=host:port: of a system that runs already)
	@cargo build --quiet --locked -p load-tests
	@target/debug/load-tests load $(call given,RATE SECONDS SEED DATA SINK) $(ARGS)

soak: nats-server ## Break everything under load, then check that nobody is lost (RATE= SECONDS= SEED= DATABASE=sqlite|postgres|up)
	@cargo build --quiet --locked -p load-tests -p usher
	@target/debug/load-tests soak --usher target/debug/usher $(call given,RATE SECONDS SEED DATABASE) $(ARGS)

compare: nats-server ## Kill accounts and verification with each dispatcher, and count what it loses (RATE= SECONDS= KILLS= SEED=)
	@cargo build --quiet --locked -p load-tests -p usher
	@target/debug/load-tests compare --usher target/debug/usher $(call given,RATE SECONDS KILLS SEED) $(ARGS)

hostile: nats-server static ## Attack every listener while people sign up, and see who notices (RATE= SECONDS= TIMES=)
	@cargo build --quiet --locked -p load-tests
	@target/debug/load-tests hostile --usher target/static/usher $(call given,RATE SECONDS TIMES) $(ARGS)

bench: nats-server ## Measure the parts by themselves, then growth (ARGS=render runs some parts alone)
	@cargo bench --quiet --locked -p kit -p verification -p mailer --bench kit --bench digits --bench mailer -- $(ARGS)
	@$(if $(ARGS),,$(MAKE) growth)

growth: nats-server static ## Compare what an account costs beside a thousand and beside a million others (SIZES= ACCOUNTS= RATIO=)
	@cargo build --quiet --locked -p load-tests
	@target/debug/load-tests growth --usher target/static/usher $(call given,SIZES ACCOUNTS RATE ROUNDS RATIO SEED) $(ARGS)

burst: nats-server static ## Let 100,000 sign up at once before a slow mail server, and see what memory that takes (ACCOUNTS= MEMORY=)
	@cargo build --quiet --locked -p load-tests
	@target/debug/load-tests burst --usher target/static/usher $(call given,ACCOUNTS CONNECTIONS ANSWER MEMORY SEED) $(ARGS)

fuzz: ## Look for octets of a mail server that break what reads and keeps them (SECONDS=; needs cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || { echo "make fuzz: there is no cargo-fuzz (cargo install --locked cargo-fuzz)"; exit 1; }
	@mkdir -p target/fuzz/found
	@cargo fuzz run --fuzz-dir services/mailer/fuzz --target-dir target/fuzz --sanitizer none replies \
	    target/fuzz/found services/mailer/fuzz/corpus/replies -- -dict=services/mailer/fuzz/replies.dict \
	    -max_len=4096 -timeout=10 -max_total_time=$(or $(SECONDS),1800) -print_final_stats=1 -artifact_prefix=target/fuzz/

test-chart: ## Check the Helm chart without a cluster: with Helm 3 and 4, for Kubernetes 1.31 to 1.34 (ARGS='-k audit')
	@deploy/tools/chart-tools.sh
	@PYTHONPATH=.tools/chart/python PYTHONDONTWRITEBYTECODE=1 python3 -m pytest $(ARGS) helm/tests

# Flags of the variables that are set: `SEED=7` is `--seed 7`.
given = $(foreach name,$(1),$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) $($(name))))

lint: ## Check format, scripts, clippy, docs, layers and licences (CI=true: the tree, too)
	@echo "· format" && cargo fmt --all --check
	@echo "· scripts" && for script in .ci/run $$(git ls-files 'deploy/*.sh' 'deploy/*/run'); do bash -n $$script || exit 1; done
	@python3 -c 'import ast, sys; [ast.parse(open(file).read(), file) for file in sys.argv[1:]]' $$(git ls-files '*.py')
	@echo "· clippy" && cargo clippy --all-targets --locked -- -D warnings
	@echo "· fuzzer" && cargo clippy --quiet --locked --manifest-path services/mailer/fuzz/Cargo.toml --target-dir target/fuzz -- -D warnings
	@echo "· doc" && $(MAKE) doc >/dev/null
	@echo "· layers" && RUST_BACKTRACE=0 cargo test --locked --test layers -- --quiet
	@echo "· dependencies" && if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; \
	    elif [ -n "$$CI" ]; then echo "make lint: cargo-deny is not installed; run make tools first." >&2; exit 1; \
	    else echo "  NOT CHECKED: cargo-deny is not installed (make tools builds it)"; fi
ifdef CI
	@$(MAKE) tree
endif

doc: ## Build rustdoc, private items too, as target/doc; a warning is an error
	@RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps --document-private-items --locked --features kit/testing
	@echo "target/doc/usher/index.html"

papers: nats-server ## Write the papers' parts anew that come from the code: the demo's output, settings, the example, the chart's values
	@python3 deploy/tools/chart-papers.py
	@USHER_WRITE_PAPERS=1 cargo test --locked -p usher --test service papers:: -- --quiet --test-threads 1

figures: ## Print what the code weighs (FOLDERS='../old .' compares checkouts)
	@python3 deploy/tools/figures.py $(FOLDERS)

fmt: ## Format the code
	@cargo fmt --all

tree: ## Fail when the work tree differs from the commit
	@echo "· tree" && changed=$$(git status --porcelain) && if [ -n "$$changed" ]; then \
	    echo "$$changed"; git --no-pager diff --stat; \
	    echo "make tree: these files differ from the commit. Commit what is meant, ignore what is made by a build."; exit 1; fi

##@ Set it up

tools: nats-server ## Install what is missing: nats-server, mail servers, cargo-deny, Helm into .tools/; PostgreSQL
	@deploy/tools/postgres.sh
	@deploy/tools/mail-servers.sh
	@deploy/tools/cargo-deny.sh
	@deploy/tools/chart-tools.sh

nats-server:
	@deploy/tools/nats-server.sh

help: ## Print this
	@echo "Usage: make TARGET [NAME=value ...]"
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
