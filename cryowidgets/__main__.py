from cryowidgets.cli import main

main()
